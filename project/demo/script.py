"""What the people of the demo say who talk by themselves: who, in which room, and what. Plain data."""

from typing import NamedTuple


class Line(NamedTuple):
    speaker: str
    room: str
    text: str


# What has been said before anybody came. Read from top to bottom.
HISTORY = (
    Line("emil", "general", "Good morning! The nightly build is green again."),
    Line("bob", "general", "Then I tag 2.4 after lunch."),
    Line("alice", "general", "Great. I write the release notes: https://example.com/notes/2.4"),
    Line("carol", "general", "The new icons are in the design folder. Please look at the dark ones, too."),
    Line("lin", "general", "大家好！用户访谈的结果已经整理好了。"),
    Line("nour", "general", "صباح الخير! العميل يريد عرضًا يوم الخميس."),
    Line("dana", "general", "Two customers ask whether the export keeps the order of columns.\nIt does, right?"),
    Line("bob", "general", "Right, since 2.3."),
    Line("emil", "releases", "2.3.2 is in production."),
    Line("bob", "releases", "2.4 is tagged. The checklist is in the wiki."),
    Line("alice", "releases", "Notes are ready for review."),
    Line("dana", "support", "Ticket 4711: the printer cuts off the last line."),
    Line("nour", "support", "I call them back this afternoon."),
    Line("alice", "team", "Only you and I can see this room."),
    Line("bob", "team", "Good, then nobody learns that I broke the build."),
)
# Earlier small talk, from which `load_demo` makes enough history for scrolling.
SMALL_TALK = (
    Line("dana", "general", "The coffee machine works again."),
    Line("emil", "general", "The backup took four minutes today, not forty."),
    Line("carol", "general", "I have moved the search to the top. Tell me if you miss it at the side."),
    Line("bob", "general", "The flaky test was a race after all. It is fixed, with a test that tells its story."),
    Line("alice", "general", "Planning starts at ten in the small room."),
    Line("lin", "general", "Eleven of twelve people found the new search without help."),
    Line("nour", "general", "The contract with the library is signed!"),
    Line("carol", "general", "Congratulations!"),
)
# What is said while somebody looks, again and again.
SCENES = (
    Line("dana", "general", "A customer says that the app feels faster today. What have you changed?"),
    Line("emil", "general", "Nothing but the index. Sometimes one line is enough."),
    Line("nour", "support", "Ticket 4712 is only a question about invoices."),
    Line("dana", "support", "I take it."),
    Line("lin", "general", "我把访谈的记录放到共享文件夹里了。"),
    Line("emil", "releases", "The canary has been quiet for an hour. I roll it out to everybody."),
    Line("nour", "general", "شكرًا لكم جميعًا، العرض جاهز."),
    Line("dana", "general", "Does anybody know a good word for “undo” that is not “undo”?"),
    Line("lin", "general", "“Take back”, maybe."),
    Line("emil", "general", "Load is at a tenth of what we planned for."),
    Line("nour", "releases", "May I tell the customers that 2.4 is out?"),
    Line("emil", "releases", "In ten minutes, please."),
    Line("dana", "support", "4711 is solved: it was the margin, not the printer."),
    Line("lin", "general", "Who joins the interviews on Friday? Two seats are free."),
    Line("dana", "general", "I do!"),
    Line("nour", "general", "Lunch at one?"),
    Line("emil", "general", "Yes. Somebody has to water the plants before that."),
    Line("lin", "releases", "The research build needs 2.4, so thank you for being early."),
)
EVERY_LINE = (*HISTORY, *SMALL_TALK, *SCENES)
# What somebody answers to a visitor.
ANSWERS = (
    "Thanks, {name}!",
    "Good point, {name}.",
    "Noted. Anything else before lunch?",
    "Sounds right to me.",
    "{name}, can we talk about that tomorrow?",
)
