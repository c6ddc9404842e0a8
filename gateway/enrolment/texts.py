"""The enrolment desk's texts, (Chinese, English)."""

from __future__ import annotations

from gateway.vision.faces.quality import SENTENCES
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
        "已登记 {count} 人（达到 {limit} 人须向网信部门备案）",
        "{count} enrolled (from {limit} on, a site files with the authorities)",
    ),
    "desk.filing": (
        "已达到备案人数：请按规定办理备案。",
        "The filing threshold is reached: file with the authorities.",
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
    "desk.new": ("登记一位住户", "Enrol somebody"),
    "desk.holder": ("住户", "Holder"),
    "desk.portals": ("用于", "For"),
    "desk.until": ("有效至", "Until"),
    "desk.other": ("替代方式", "Other way in"),
    "desk.asked": ("经办人", "Asked by"),
    "desk.guardian": ("监护人", "Guardian"),
    "desk.number": ("登记编号", "Enrolment"),
    "desk.withdraw": ("撤回并删除", "Withdraw, erase"),
    "desk.withdraw.named": ("撤回 {name} 的人脸", "Withdraw the face of {name}"),
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
    "new.holder": ("住户（策略中的编号）", "Holder (id in the policy)"),
    "new.portals": ("可用的通道", "At these portals"),
    "new.portals.none": (
        "策略中没有接受人脸的通道；请先在策略中加入。",
        "No portal of the policy accepts faces; add one to the policy first.",
    ),
    "new.until": ("同意到（最长一年）", "Consent until (at most a year)"),
    "new.other": ("已提供的其他进门方式", "The other way in that was offered"),
    "new.asked": ("由谁说明并征得同意", "Who explained and asked"),
    "new.below": ("未满 14 周岁", "Below 14 years"),
    "new.guardian": ("同意的监护人姓名（未满 14 周岁必填）", "Guardian who consented (needed below 14)"),
    "new.replace": ("替换此人已有的人脸", "Replace this person's earlier enrolment"),
    "new.agreed": ("本人（或监护人）已听取上述说明并同意", "The person (or guardian) has heard this and consents"),
    "new.go": ("下一步：拍摄", "Next: pictures"),
    "new.back": ("返回", "Back"),
    "new.refused": ("请补全：{text}", "Please complete: {text}"),
    "take.title": ("第二步：{name} 面向摄像头", "Step 2: {name} faces the camera"),
    "take.private": ("画面只在内存中，不保存。", "The picture is in memory only, and is not kept."),
    "take.progress": ("已采集 {count} / {wanted}", "{count} of {wanted} taken"),
    "take.waiting": ("还没有收到画面，请检查摄像头。", "No picture has arrived; check the camera."),
    "take.good": ("很好，请慢慢左右转一点头。", "Good; turn your head a little to either side, slowly."),
    "take.stranger": (
        "这不像刚才的人：请让同一个人站到镜头前，或重新开始。",
        "This does not look like the person before: let the same person stand there, or start again.",
    ),
    "take.done": ("采集完成，可以保存。", "Enough was taken; it can be stored."),
    "take.store": ("保存登记", "Store the enrolment"),
    "take.again": ("重新采集", "Take them again"),
    "take.cancel": ("取消，全部丢弃", "Cancel, drop everything"),
    "take.picture": ("摄像头画面", "The camera's picture"),
    "done.title": ("已登记", "Enrolled"),
    "done.text": (
        "{name} 的人脸已登记，共 {count} 条。请把编号交给本人；撤回时可凭它核对回执。",
        "The face of {name} is enrolled with {count} references. Give the person this number; a receipt of erasure"
        " names it.",
    ),
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
    "form.filing": ("备案人数", "Filing threshold"),
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
}
