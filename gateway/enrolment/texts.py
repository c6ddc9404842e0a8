"""The enrolment desk's texts, (Chinese, English)."""

from __future__ import annotations

from gateway.vision.faces.quality import SENTENCES, Problem
from pages.language import Texts

TITLE = ("智安 · 人脸登记", "zhian · face enrolment")

TEXTS: Texts = {
    "desk.title": ("人脸登记", "Enrolled faces"),
    "desk.lead": (
        "人脸只是进门方式之一。登记前须当面说明并取得同意；可随时撤回，撤回即删除。",
        "A face is one way in among others. It is explained and consented to first; it can be withdrawn at any time,"
        " and is erased then.",
    ),
    "desk.count": (
        "已登记 {count} 人；存储人脸达到 {limit} 人时，须在 30 个工作日内向省级以上网信部门备案。",
        "{count} enrolled; whoever stores the faces of {limit} people files with the provincial authority within 30"
        " working days.",
    ),
    "desk.filing": (
        "已达到备案人数：请在 30 个工作日内向所在地省级以上网信部门备案。",
        "The filing threshold is reached: file with the provincial authority within 30 working days.",
    ),
    "desk.alone.off": (
        "目前仅凭人脸不能开门，须同时刷卡或输入密码（尚未有人确认检测能力声明）。",
        "A face alone opens nothing yet: it needs a card or PIN beside it, until an operator accepts the statement of"
        " what was not tested.",
    ),
    "desk.alone.on": (
        "已确认检测能力声明：策略允许处，仅凭人脸即可开门。",
        "The statement was accepted: where the policy allows it, a face alone opens.",
    ),
    "desk.broken": ("人脸功能已停用：{text}", "Faces are off: {text}"),
    "desk.away": (
        "网关核心没有应答，暂不能登记或删除。",
        "Core does not answer: nobody can be enrolled or erased now.",
    ),
    "desk.none": ("还没有人登记。", "Nobody is enrolled."),
    "list.shown": ("第 {first} 至 {last} 条，共 {all} 条", "{first} to {last} of {all}"),
    "list.older": ("更早", "Older"),
    "list.newest": ("回到最新", "Back to the newest"),
    "list.none.older": ("没有更早的登记了。", "There are no earlier enrolments."),
    "search.label": ("查找住户", "Find a holder"),
    "search.example": ("姓名或编号", "Name, id or number"),
    "search.go": ("查找", "Find"),
    "search.all": ("显示全部", "Show all"),
    "search.found": ("“{typed}”：找到 {count} 条。", "“{typed}”: {count} found."),
    "search.none": (
        "没有找到“{typed}”；请核对姓名，或只输入其中一部分。此人也可能没有登记。",
        "Nobody enrolled matches “{typed}”; check the spelling or type only a part. They may not be enrolled at all.",
    ),
    "search.over": (
        "刚才的查找已失效，现显示全部；请重新查找。",
        "That search is over, and everybody is shown; search again.",
    ),
    "desk.new": ("登记一位住户", "Enrol somebody"),
    "desk.holder": ("住户", "Holder"),
    "desk.portals": ("用于", "For"),
    "desk.consent": ("同意期", "Consent"),
    "desk.span": ("{given} 至 {until}", "{given} to {until}"),
    "desk.soon": ("即将到期", "Ends soon"),
    "desk.number": ("编号", "Number"),
    "desk.statement": ("查看声明", "Read the statement"),
    "desk.abandoned": (
        "刚才的登记太久无人操作，已全部丢弃；请重新开始。",
        "Nobody went on with the enrolment for some minutes, so all of it was dropped; begin again.",
    ),
    "desk.other": ("替代方式", "Other way in"),
    "desk.asked": ("经办人", "Asked by"),
    "desk.guardian": ("监护人", "Guardian"),
    "desk.withdraw": ("撤回并删除", "Withdraw, erase"),
    "desk.withdraw.named": ("删除 {name} 的人脸？", "Erase the face of {name}?"),
    "desk.withdraw.gone": (
        "这条登记已经不在，可能已删除或重新登记；请重新载入列表。",
        "This enrolment is no more: it was erased or made anew; load the list again.",
    ),
    "desk.withdraw.failed": ("没有完成删除：{text}", "The erasure was not completed: {text}"),
    "desk.withdraw.question": (
        "其人脸数据和密钥将立即删除，无法恢复；其他进门方式不受影响。",
        "The references and their key are erased at once and for good; other ways in stay as they are.",
    ),
    "desk.withdraw.confirm": ("删除", "Erase"),
    "desk.withdraw.done": (
        "已删除 {count} 条人脸数据，回执号 {number}。",
        "{count} references were erased; receipt number {number}.",
    ),
    "desk.pending": ("正在删除…", "Erasing…"),
    "desk.erased": ("删除回执", "Erasures"),
    "desk.erased.none": ("还没有删除记录。", "Nothing was erased yet."),
    "desk.erased.lead": (
        "姓名已随人脸一并删除；编号与登记时交给本人的单据一致。",
        "The name went with the face; the number is the one on the slip that the person was given.",
    ),
    "desk.erased.receipt": ("查看回执", "Receipt"),
    "desk.erased.at": ("时间", "Time"),
    "desk.erased.cause": ("原因", "Cause"),
    "desk.erased.count": ("条数", "References"),
    "desk.erased.key": ("密钥已销毁", "Key destroyed"),
    "desk.erased.proof": ("校验", "Digest"),
    "desk.yes": ("是", "yes"),
    "desk.no": ("否", "no"),
    "cause.withdrawn": ("撤回同意", "withdrawn"),
    "cause.expired": ("同意到期", "consent ended"),
    "cause.replaced": ("重新登记", "enrolled again"),
    "cause.holder-removed": ("已不是住户", "no holder any more"),
    "cause.incomplete": ("登记未完成", "not completed"),
    "cause.interrupted": ("中断后补完的删除", "finished after an interruption"),
    "cause.restored": ("备份恢复后再次删除", "erased again after a restore"),
    "new.title": ("第一步：说明与同意", "Step 1: explain and consent"),
    "new.say": ("请向本人（未满 14 周岁的，向监护人）说明：", "Tell the person (below 14, the guardian):"),
    "new.say.1": (
        "目的只有一个：在下列通道识别本人并开门。",
        "There is one purpose: to know them at the portals named below and open.",
    ),
    "new.say.2": (
        "保存的是由照片计算的数字，不保存照片；只存在本小区网关内，每人单独加密，不上传、不共享。",
        "Numbers computed from pictures are kept, no picture; only in this site's gateway, each person's under a key of"
        " their own, never sent or shared.",
    ),
    "new.say.3": (
        "到期、撤回或搬离时删除，并给出回执。不同意不影响出入：可用卡或密码。",
        "They are erased when consent ends, is withdrawn, or the person moves away, with a receipt. Saying no costs"
        " nothing: a card or PIN opens as well.",
    ),
    "new.say.4": (
        "识别会出错，可能认不出本人或认成别人；能否防住照片和视频见声明。",
        "Recognition makes mistakes: it may miss the person or take another for them; what it resists is in"
        " the statement.",
    ),
    "new.holder": ("住户", "Holder"),
    "new.holder.hint": ("输入姓名并从列表中选择。", "Type the name and choose from the list."),
    "new.holder.none": (
        "没有找到住户“{name}”；请从列表中选择，新住户请先加入策略。",
        "There is no holder “{name}”; choose one of the list, and add a new one to the policy first.",
    ),
    "new.holder.several": (
        "有几位住户都叫“{name}”；请从列表中选择带编号的那一位。",
        "Several holders are called “{name}”; choose the one you mean from the list.",
    ),
    "new.portals.gone": (
        "所选通道已不接受人脸；请重新选择。",
        "A portal that was ticked accepts no faces any more; choose again.",
    ),
    "new.portals": ("可用的通道", "At these portals"),
    "new.portals.none": (
        "策略中没有接受人脸的通道；请先在策略中加入。",
        "No portal of the policy accepts faces; add one to the policy first.",
    ),
    "new.until": ("同意到（最长一年）", "Consent until (at most a year)"),
    "new.until.bad": (
        "到期日须在明天至一年之内；请更正。",
        "Consent must end between tomorrow and a year from now; correct the day.",
    ),
    "new.other": ("已提供的其他进门方式", "The other way in that was offered"),
    "new.other.1": ("门禁卡", "Card"),
    "new.other.2": ("门禁卡和密码", "Card and PIN"),
    "new.asked": ("由谁说明并征得同意", "Who explained and asked"),
    "new.below": ("未满 14 周岁", "Below 14 years"),
    "new.guardian": ("同意的监护人姓名（未满 14 周岁必填）", "Guardian who consented (needed below 14)"),
    "new.guardian.none": (
        "未满 14 周岁须由监护人同意；请填写监护人姓名。",
        "Below 14 a guardian consents; give the guardian's name.",
    ),
    "new.replace": ("替换此人已有的人脸", "Replace this person’s earlier enrolment"),
    "new.agreed": ("本人（或监护人）已听取上述说明并同意", "The person (or guardian) has heard this and consents"),
    "new.agreed.none": (
        "没有同意就不能登记；请先说明并征得同意。",
        "Nobody is enrolled without consent; explain and ask first.",
    ),
    "new.busy": (
        "另一个窗口正在登记；请等它完成或取消。",
        "Another window is enrolling somebody; wait until that is finished or cancelled.",
    ),
    "new.camera": ("下一步：用摄像头", "Next: camera"),
    "new.photos": ("下一步：用照片", "Next: photos"),
    "new.back": ("返回", "Back"),
    "new.refused": ("请补全：{text}", "Please complete: {text}"),
    "take.title": ("第二步：请{name}面向摄像头", "Step 2: {name} faces the camera"),
    "take.title.photos": ("第二步：{name}的照片", "Step 2: photos of {name}"),
    "take.private": ("画面只在内存中，不保存。", "The picture is in memory only, and is not kept."),
    "take.private.photos": (
        "照片只在内存中读取，不保存；本机上的原照片请自行删除。",
        "Photos are read in memory and not kept; delete the originals on this computer yourself.",
    ),
    "take.photos": (
        "请选 {least} 至 {most} 张本人近期照片，不同时间拍摄的更好；每张只有一人，正面，光线充足。",
        "Choose {least} to {most} recent photos of the person, best of different days: alone, facing you, well lit.",
    ),
    "take.choose": ("选择照片", "Choose photos"),
    "take.reading": ("正在查看第 {n} 张，共 {all} 张…", "Looking at {n} of {all}…"),
    "take.to.photos": ("改用照片", "Use photos instead"),
    "take.to.camera": ("改用摄像头", "Use the camera instead"),
    "take.over": (
        "这次登记已经结束；请回到列表。",
        "This enrolment is over; go back to the list.",
    ),
    "take.unusable": (
        "摄像头送来的不是可用的照片（损坏、过大或格式不符）；请检查摄像头设置。",
        "What the camera sends is no picture that can be used (damaged, too large, or no JPEG); check its settings.",
    ),
    "take.progress": ("已采集 {count} / {wanted}", "{count} of {wanted} taken"),
    "take.waiting": ("还没有收到画面，请检查摄像头。", "No picture has arrived; check the camera."),
    "take.good": ("很好，请慢慢左右转一点头。", "Good; turn your head a little to either side, slowly."),
    "take.stranger": (
        "这不像刚才的人：请让同一个人站到镜头前，或重新开始。",
        "This does not look like the person before: let the same person stand there, or start again.",
    ),
    "take.done": (
        "采集完成，摄像头画面已关闭，可以保存。",
        "Enough was taken, and the camera is not looked at any more; it can be stored.",
    ),
    "take.done.photos": (
        "照片已够，可以保存；再加几张会更准。",
        "Enough photos were taken; it can be stored. A few more make it surer.",
    ),
    "take.refused": (
        "没有保存，原因见上；可重新采集，或取消。",
        "Nothing was stored, for the reason above; take them again, or cancel.",
    ),
    "photo.taken": ("可用，已采集。", "Good, taken."),
    "photo.same": ("这张已经选过；请另选一张。", "This photo was taken already; choose another."),
    "photo.enough": ("已经够了，不需要更多。", "That is enough; no more are needed."),
    "photo.stranger": (
        "与前面的照片不像同一个人；请只选本人的照片。",
        "This does not look like the person of the others; choose photos of one person only.",
    ),
    "photo.ended": (
        "登记已结束，照片未使用；请重新开始。",
        "The enrolment is over, and the photo was not used; begin again.",
    ),
    "photo.empty": ("文件是空的；请另选一张照片。", "The file is empty; choose another photo."),
    "photo.film": ("这是视频或动图，不是照片；请选一张照片。", "This is a film, not a photo; choose a photo."),
    "photo.other": ("这不是 JPEG 或 PNG 照片；请另选一张。", "This is no JPEG or PNG photo; choose another."),
    "photo.large": (
        "照片超过 2500 万像素；请缩小后再选。",
        "The photo has more than 25 million pixels; save it smaller.",
    ),
    "photo.heavy": ("文件超过 {most} MB；请缩小后再选。", "The file has more than {most} MB; save it smaller."),
    "photo.damaged": (
        "照片已损坏，打不开；请另选一张。",
        "The photo is damaged and cannot be opened; choose another.",
    ),
    "refusal.face-enrolled": (
        "{name} 已登记人脸；要重新登记，请在第一步勾选“替换此人已有的人脸”。",
        "A face of {name} is enrolled already; to enrol again, tick “Replace” in step 1.",
    ),
    "refusal.face-alike": (
        "这张脸与已登记的 {name} 非常相似，未保存。请核对身份；如果那条登记有误，先撤回它。",
        "This face is very like the enrolled one of {name}, so nothing was stored. Check who stands there; if that"
        " enrolment was a mistake, withdraw it first.",
    ),
    "refusal.other": ("没有保存：{text}", "Nothing was stored: {text}"),
    "take.store": ("保存登记", "Store the enrolment"),
    "take.again": ("重新采集", "Take them again"),
    "take.cancel": ("取消，全部丢弃", "Cancel, drop everything"),
    "take.picture": ("摄像头画面", "The camera's picture"),
    "done.title": ("已登记", "Enrolled"),
    "done.text": ("{name} 的人脸已登记，共 {count} 条。", "The face of {name} is enrolled with {count} references."),
    "done.slip": (
        "请打印或抄下编号交给本人：撤回或到期删除后，可凭它核对回执。",
        "Print this or write the number down for the person: after a withdrawal, or when consent has ended, it finds"
        " the receipt.",
    ),
    "done.whole": ("完整编号", "Whole number"),
    "done.withdraw": (
        "随时可以到物业撤回同意，人脸数据当场删除。",
        "Consent can be withdrawn at the office at any time; the face is erased on the spot.",
    ),
    "slip.title": ("人脸登记单（请本人保管）", "Face enrolment slip, for you to keep"),
    "slip.keep": (
        "撤回同意后，或到期删除后，可凭此编号到物业查对删除回执。",
        "After a withdrawal, or when consent has ended, this number finds the receipt of the erasure at the office.",
    ),
    "slip.purpose": (
        "目的只有一个：在上列通道识别本人并开门。",
        "There is one purpose: to know you at the portals named above and open.",
    ),
    "print": ("打印", "Print"),
    "find.label": ("凭编号查询", "Find a number"),
    "find.go": ("查询", "Find"),
    "find.example": ("例如 06CF-E979", "such as 06CF-E979"),
    "find.none": (
        "现有登记和最近 200 条回执中没有这个编号；请核对单据上的编号（至少前 8 位）。",
        "No enrolment and none of the newest 200 receipts has this number; compare it with the slip (at least its"
        " first 8 digits).",
    ),
    "find.enrolled": (
        "这个编号的人脸仍在登记中，没有删除。",
        "The face of this number is enrolled; it was not erased.",
    ),
    "receipt.title": ("人脸数据删除回执", "Receipt: a face was erased"),
    "receipt.number": ("回执号", "Receipt number"),
    "receipt.text": (
        "下列编号的人脸特征数据已删除，解密所需的密钥已销毁，无法恢复；门口的识别也同时停止。",
        "The references of this number were erased, and the key without which none of them can be read was destroyed."
        " They cannot be brought back, and doors know this face no longer.",
    ),
    "receipt.nokey": (
        "下列编号的人脸特征数据已删除；删除时密钥已不存在，数据此前就无法读取。",
        "The references of this number were erased; their key was gone by then, so that nobody could read them.",
    ),
    "receipt.proof": (
        "校验值覆盖本条和此前所有删除记录；改动其中任何一条都会被发现。",
        "The digest covers this erasure and all before it: a change to any of them is noticed.",
    ),
    "receipt.sign": ("经办人签字、日期", "Signed for the office, and date"),
    "statement.title": ("检测能力声明", "The statement"),
    "done.back": ("回到列表", "Back to the list"),
    "desk.assessment": ("影响评估表", "Impact assessment"),
    "form.title": ("个人信息保护影响评估表（人脸识别）", "Impact assessment: face recognition at doors"),
    "form.lead": (
        "依据《个人信息保护法》第五十五、五十六条。上半部分由系统按现状填写，其余由评估人手写；请打印后签字。",
        "After articles 55 and 56 of the Personal Information Protection Law (PRC). The first rows are filled from this"
        " site as it is; the rest is for the person who assesses. Print and sign.",
    ),
    "form.purpose": ("处理目的", "Purpose"),
    "form.purpose.value": (
        "在所列通道识别已同意的住户并开门，别无其他",
        "To know consenting holders at the portals named and open; none other",
    ),
    "form.data": ("处理的信息", "What is processed"),
    "form.data.value": (
        "由照片计算的特征数值，每人至多 {most} 条，逐人加密，不出小区；不保存照片；未匹配的人脸即刻遗忘",
        "Numbers computed from pictures, at most {most} a person, each person's under a key of their own, never off the"
        " site; no picture is kept; a face that matches nobody is forgotten at once",
    ),
    "form.people": ("已登记人数", "People enrolled"),
    "form.minors": ("其中未满 14 周岁（监护人已同意）", "Of these below 14, with a guardian's consent"),
    "form.portals": ("使用的通道", "Portals"),
    "form.others": ("已提供的替代方式", "Other ways in that were offered"),
    "form.retention": ("保存期限", "Retention"),
    "form.retention.value": (
        "至同意到期、撤回或搬离，最长 {days} 天；到期自动删除并留存回执",
        "Until consent ends, is withdrawn or the holder leaves, at most {days} days; then erased, with a receipt",
    ),
    "form.erasures": ("已删除（回执数）", "Erasures with receipts"),
    "form.alone": ("仅凭人脸开门", "A face alone opens"),
    "form.filing": ("存储人数与备案线", "Stored faces and the filing threshold"),
    "form.filing.value": ("{count} 人；达到 {limit} 人须备案", "Stored: {count}; to be filed from {limit} on"),
    "form.site": ("小区", "Site"),
    "form.model": ("识别模型（SHA-256 前 16 位）", "Model (first 16 digits of its SHA-256)"),
    "form.date": ("评估日期", "Date"),
    "form.necessary": (
        "是否合法、正当、必要？为何卡或密码不足以达到目的？",
        "Lawful, legitimate, necessary? Why would cards or PINs not do?",
    ),
    "form.impact": ("对个人权益的影响及安全风险", "Effect on people's rights, and the risks"),
    "form.measures": (
        "保护措施是否合法、有效并与风险相适应？",
        "Are the measures lawful, effective and fit for the risk?",
    ),
    "form.children": ("对儿童、老人、拒绝者的安排", "Children, old people, people who refuse: what is arranged"),
    "form.conclusion": ("结论与责任人签字", "Conclusion, and who signs"),
    "form.keep": (
        "评估报告和处理记录至少保存三年（第五十六条）。",
        "Keep the assessment and the records for at least three years (article 56).",
    ),
    **{f"problem.{problem}": (texts["zh-CN"], texts["en"]) for problem, texts in SENTENCES.items()},
    # At a desk a face that is too small to be found is the common case.
    f"problem.{Problem.NO_FACE}": (
        "没有看到人脸：请靠近一些，正对镜头。",
        "No face is seen: come closer and face the camera.",
    ),
}
