"""The kit's own texts, (Chinese, English)."""

from pages.language import Texts

TEXTS: Texts = {
    "kit.skip": ("跳到内容", "Skip to content"),
    "kit.language": ("语言", "Language"),
    "kit.language.zh-CN": ("中文", "中文"),
    "kit.language.en": ("English", "English"),
    "kit.leave": ("退出", "Log out"),
    "kit.simulated": ("模拟", "Simulated"),
    "kit.simulated.why": ("此站点由模拟器扮演，没有真实设备。", "A simulator plays this site; no device here is real."),
    "kit.noscript": (
        "本页需要 JavaScript 才能实时更新和操作。",
        "This page needs JavaScript to stay live and to act.",
    ),
    "kit.lost": (
        "连接已断开，下面的内容可能已过时。正在重新连接…",
        "Connection lost: what you see may be out of date. Reconnecting…",
    ),
    "kit.unsent": (
        "没有收到应答，请求可能未执行。请检查连接后查看记录。",
        "No answer came, so the request may not have been carried out. Check the connection, then look at the record.",
    ),
    "kit.close": ("关闭", "Close"),
    "kit.cancel": ("取消", "Cancel"),
    "kit.enter.title": ("进入", "Enter"),
    "kit.enter.lead": (
        "请输入启动本页的命令所打印的一次性口令。",
        "Type the one-time token that was printed by the command that started this page.",
    ),
    "kit.enter.token": ("一次性口令", "One-time token"),
    "kit.enter.hint": (
        "大小写、空格和连字符不影响。口令用过一次后，会打印新的口令。",
        "Case, spaces and dashes do not matter. Once a token has been used, a new one is printed.",
    ),
    "kit.enter.submit": ("进入", "Enter"),
    "kit.enter.wrong": (
        "口令不正确。请使用最近一次打印的口令。",
        "This token is not right. Use the one that was printed last.",
    ),
    "kit.enter.wait": (
        "错误次数过多，请在 {seconds} 秒后再试。",
        "Too many wrong tries: try again in {seconds} seconds.",
    ),
    "kit.enter.ended": (
        "会话已结束，请重新进入。",
        "Your session has ended: please enter again.",
    ),
    "kit.error.title": ("无法显示", "This did not work"),
    "kit.error.home": ("回到首页", "Back to the first page"),
    "kit.error.host": (
        "请求中的主机名不被接受；请用命令打印的地址打开本页。",
        "The host name of this request is not accepted; open the page at the address that the command printed.",
    ),
    "kit.error.origin": (
        "请求来自另一个页面，未执行；请在本页重试。",
        "The request came from another page and was not carried out; try again from this page.",
    ),
    "kit.error.csrf": (
        "请求缺少本页的令牌，未执行；请重新载入本页后重试。",
        "The request lacks this page's own token and was not carried out; reload the page and try again.",
    ),
    "kit.error.session": (
        "尚未进入或会话已结束；请用口令进入。",
        "You have not entered or your session has ended; enter with a token.",
    ),
    "kit.error.too-large": (
        "请求内容过大，最多 {limit} 字节。",
        "The request is too large: at most {limit} bytes are accepted.",
    ),
    "kit.error.slow": ("请求内容到达太慢，未执行；请重试。", "The request arrived too slowly; try again."),
    "kit.error.method": ("此处不接受这种请求方法。", "This method is not accepted here."),
    "kit.error.streams": (
        "打开的实时页面过多；请关闭一些再试。",
        "Too many live pages are open; close some and try again.",
    ),
    "kit.error.not-found": ("没有这个页面；请从首页开始。", "There is no such page; start from the first page."),
    "kit.error.invalid": (
        "请求中的“{field}”不被接受；请更正后重试。",
        "The request's “{field}” is not accepted; correct it and try again.",
    ),
    "kit.error.refused": ("请求未被接受。", "The request was not accepted."),
    "kit.error.fault": (
        "本页出现故障，已记入日志；请重试。",
        "A fault in this page has been logged; please try again.",
    ),
}
