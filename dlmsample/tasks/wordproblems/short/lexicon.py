"""The verbs of short stories, by what they do to a number of things: plain form, with s, past."""

from __future__ import annotations

from dlmsample.tasks.wordproblems.short.draw import verbs

GAIN = verbs(
    "get gets got;get gets got;buy buys bought;find finds found;receive receives received;win wins won"
    ";collect collects collected;pick_up picks_up picked_up;make makes made;add adds added;take takes took"
    ";earn earns earned;order orders ordered;borrow borrows borrowed;gather gathers gathered;pick picks picked"
    ";buy buys bought;catch catches caught;draw draws drew;choose chooses chose"
)
LOSE = verbs(
    "lose loses lost;sell sells sold;use uses used;give_away gives_away gave_away;throw_away throws_away threw_away"
    ";break breaks broke;drop drops dropped;hand_out hands_out handed_out;spend spends spent;use_up uses_up used_up"
    ";return returns returned;trade_away trades_away traded_away;hide hides hid;lose loses lost;sell sells sold"
    ";send_away sends_away sent_away;mail mails mailed;waste wastes wasted;leave_behind leaves_behind left_behind"
    ";throw_out throws_out threw_out;donate donates donated;give_away gives_away gave_away"
)
EAT = verbs(
    "eat eats ate;eat eats ate;eat eats ate;cook cooks cooked;finish finishes finished;swallow swallows swallowed"
)
HAND = verbs(
    "give gives gave;give gives gave;give gives gave;send sends sent;bring brings brought;hand hands handed"
    ";sell sells sold;lend lends lent;pass passes passed;offer offers offered"
)
TAKE = verbs(
    "take takes took;take takes took;borrow borrows borrowed;steal steals stole;buy buys bought;grab grabs grabbed"
)
START = verbs(
    "have has had;have has had;have has had;have has had;have has had;have_got has_got had;own owns owned"
    ";start_with starts_with started_with;hold holds held;keep keeps kept;buy buys bought;make makes made"
    ";collect collects collected;bring brings brought;pick picks picked;find finds found;carry carries carried"
    ";count counts counted;get gets got;see sees saw;order orders ordered;bake bakes baked;draw draws drew"
    ";begin_with begins_with began_with;plant plants planted;receive receives received"
)
ARRIVE = verbs(
    "come come came;come come came;arrive arrive arrived;join join joined;show_up show_up showed_up;come_in come_in"
    " came_in;appear appear appeared;come_back come_back came_back;enter enter entered;walk_in walk_in walked_in"
)
LEAVE = verbs(
    "leave leave left;leave leave left;go_away go_away went_away;run_away run_away ran_away;go_home go_home went_home"
    ";walk_away walk_away walked_away;move_away move_away moved_away;go go went"
)
ESCAPE = verbs(
    "fly_away fly_away flew_away;swim_off swim_off swam_off;hop_away hop_away hopped_away;escape escape escaped"
    ";leave leave left;run_off run_off ran_off;disappear disappear disappeared"
)
VANISH = verbs(
    "break break broke;get_lost get_lost got_lost;fall_off fall_off fell_off;fall_down fall_down fell_down"
    ";go_bad go_bad went_bad;disappear disappear disappeared;burst burst burst;are_taken are_taken were_taken"
    ";are_sold are_sold were_sold;are_eaten are_eaten were_eaten;are_removed are_removed were_removed"
    ";are_used are_used were_used;are_broken are_broken were_broken;are_gone are_gone were_gone"
)
DRIVE = verbs(
    "drive_away drive_away drove_away;leave leave left;drive_off drive_off drove_off;pull_out pull_out pulled_out"
)
WHEN = (
    "later/at the shop/the next day/after that/in the evening/on the way home/at school/today/as a present"
    "/yesterday/by accident/at the market/on Sunday/in the afternoon/last night/after lunch"
)
OPENERS = (
    "Then /Then /Later /Later, /After that /Next, /Then, /Now /The next day /Soon /Afterwards, /Today /In the evening "
)
JOINTS = " and / and then /, then /, and / and later /. Then "
POTS = "room/bag/box/drawer/pocket/basket/car/house/garden/desk"
FRIENDS = "friends/children/people/cousins/kids/students/neighbors/brothers/sisters"
