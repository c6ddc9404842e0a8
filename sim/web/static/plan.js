// People and cars are carried to a reader or a barrier: dragged by mouse or finger, or chosen and then placed by click or keys.
"use strict";

const DRAG_PX = 8; // less is a click
// On a phone only the plan is open at first; what is folded opens by a tap.
if (matchMedia("(max-width: 760px)").matches) for (const fold of document.querySelectorAll("details.fold")) fold.open = false;

let carried = null; // the token that is chosen
let drag = null; // { token, id, x, y, ghost, over }

function choose(token) {
  putDown();
  carried = token;
  token.setAttribute("aria-pressed", "true");
  document.body.dataset.carrying = token.dataset.carry;
}

function putDown() {
  if (carried) carried.setAttribute("aria-pressed", "false");
  carried = null;
  delete document.body.dataset.carrying;
}

// The part of the plan at a point that takes what is carried, or null.
function targetAt(x, y) {
  const found = document.elementFromPoint(x, y);
  const target = found && found.closest("[data-drop]");
  return target && carried && target.dataset.drop === carried.dataset.carry ? target : null;
}

async function place(target) {
  const token = carried;
  const body = { ...JSON.parse(token.dataset.body), [target.dataset.drop]: target.dataset.name };
  putDown();
  tell(await post("/api/actions", body));
}

function endDrag() {
  if (!drag) return;
  if (drag.ghost) drag.ghost.remove();
  if (drag.over) drag.over.classList.remove("over");
  delete document.body.dataset.dragging;
  drag = null;
}

function moveGhost(event) {
  drag.ghost.style.transform = `translate(${event.clientX}px, ${event.clientY}px) translate(-50%, -50%)`;
}

document.addEventListener("pointerdown", (event) => {
  const token = event.target.closest(".token");
  if (!token || token.disabled || event.button !== 0 || drag) return;
  drag = { token, id: event.pointerId, x: event.clientX, y: event.clientY, ghost: null, over: null };
});

document.addEventListener("pointermove", (event) => {
  if (!drag || event.pointerId !== drag.id) return;
  if (!drag.ghost) {
    if (Math.hypot(event.clientX - drag.x, event.clientY - drag.y) < DRAG_PX) return;
    drag.token.setPointerCapture(drag.id);
    choose(drag.token);
    document.body.dataset.dragging = "";
    drag.ghost = drag.token.cloneNode(true);
    drag.ghost.className = "token ghost";
    drag.ghost.setAttribute("aria-hidden", "true");
    document.body.append(drag.ghost);
  }
  moveGhost(event);
  const over = targetAt(event.clientX, event.clientY);
  if (drag.over && drag.over !== over) drag.over.classList.remove("over");
  if (over) over.classList.add("over");
  drag.over = over;
});

document.addEventListener("pointerup", (event) => {
  if (!drag || event.pointerId !== drag.id) return;
  const dragged = drag.ghost !== null;
  const target = dragged ? targetAt(event.clientX, event.clientY) : null;
  endDrag();
  if (!dragged) return; // the click that follows chooses
  swallowClick();
  if (target) place(target);
  else putDown();
});

document.addEventListener("pointercancel", (event) => {
  if (!drag || event.pointerId !== drag.id) return;
  const dragged = drag.ghost !== null;
  endDrag();
  if (dragged) putDown();
});

// A drag that ends over its own token is followed by a click, which would choose it again.
function swallowClick() {
  const swallow = (event) => { event.stopPropagation(); event.preventDefault(); };
  document.addEventListener("click", swallow, { capture: true, once: true });
  setTimeout(() => document.removeEventListener("click", swallow, { capture: true }), 0);
}

document.addEventListener("click", (event) => {
  const token = event.target.closest(".token");
  if (token && !token.disabled) {
    if (token === carried) putDown();
    else {
      choose(token);
      focusFirst();
    }
    return;
  }
  const here = event.target.closest("[data-here]");
  if (here && carried) place(here.closest("[data-drop]"));
});

// With keys, the first place that takes it is next; a finger or a mouse needs no help.
function focusFirst() {
  if (!carried.matches(":focus-visible")) return;
  const first = document.querySelector(`[data-drop="${carried.dataset.carry}"] [data-here]`);
  if (first) first.focus();
}

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !carried) return;
  const token = carried;
  endDrag();
  putDown();
  token.focus();
});
document.addEventListener("dragstart", (event) => { if (event.target.closest(".token")) event.preventDefault(); });
