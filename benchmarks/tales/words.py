"""The lists that :mod:`benchmarks.tales.requests` draws from."""

from __future__ import annotations


def _each(lines: str) -> tuple[str, ...]:
    """What stands between semicolons."""
    return tuple(" ".join(part.split()) for part in lines.split(";"))


WOMEN = _each(
    """
    Anna; Maria; Sara; Nina; Rosa; Clara; Amina; Julia; Ella; Vera; Hana; Marta; Yuki; Irene; Fatima; Olga; Ruth; Lena;
    Emma; Alma; Grace; Mei; Petra; Helen; Priya; Dora; Frida; Zoe; Carla; Salma; Ines; Kate; Tess; Noor; Wanda; Judith;
    Agnes; Mina; Bella; Sofia; Mrs. Hill; Mrs. Lee; Aunt May; Joan; Edith; Paula; Leila; Nora; Susan; Ida
    """
)
MEN = _each(
    """
    Tom; Ben; Omar; Paul; Ivan; Sam; Peter; Hugo; Karim; Oscar; David; Leo; Simon; Adam; Jack; Daniel; Marco; Joseph;
    Kofi; Viktor; Ravi; Felix; George; Ali; Max; Erik; Luis; Henry; Mikhail; Theo; Walter; Jonas; Bruno; Arthur; Martin;
    Pablo; Chen; Rob; Otto; Frank; Mr. Green; Mr. Brown; Uncle Joe; Ned; Ahmed; Carl; Louis; Hassan; Victor; Emil
    """
)
WOMEN_ROLES = _each(
    """
    a girl; a little girl; a mother; a grandmother; an old woman; a young woman; a big sister; an aunt; a schoolgirl
    """
)
MEN_ROLES = _each(
    """
    a boy; a little boy; a father; a grandfather; an old man; a young man; a little brother; an uncle; a schoolboy
    """
)
ROLES = _each(
    """
    a baker; a farmer; a teacher; a nurse; a painter; a bus driver; a neighbour; a child; a gardener; a musician; a
    doctor; a sailor; a shopkeeper; a student; a cook; a carpenter; a tailor; a pilot; a dentist; a cleaner; a
    librarian; a builder; a singer; a train driver; a shepherd; a beekeeper; a swimmer; a runner; a good friend; a
    waiter; a mechanic
    """
)
ANIMALS = _each(
    """
    a small dog; an old cat; a shy rabbit; a hungry fox; a brave mouse; a tired horse; a young bear; a clever crow; a
    lost duck; a slow turtle; a little bird; a friendly cow; a white goat; a green frog; a grey donkey; a fat hen; a red
    squirrel; a sleepy owl; a lonely sheep; a black kitten; a busy bee; a big goose; a quiet snail; a funny monkey
    """
)
#: What stands for itself in a request, a list for each name.
DRAWN: dict[str, tuple[str, ...]] = {
    "place": _each(
        """
        in a small village; by the sea; in the forest; on a farm; at school; in the park; in the kitchen; on a hill; in
        the garden; at the market; on a train; in an old house; near a river; in the city; at the lake; in the library;
        on the beach; at a party; under a tree; on a bridge; at the station; on a boat; in the mountains; at the bus
        stop; in a bakery; on an island; at the hospital; in a hotel; in a tent; at the zoo; in a small shop; on the
        roof; at the swimming pool; on a long road; in the snow; at the airport; in the barn; at the museum; in the car
        """
    ),
    "event": _each(
        """
        finds a key; loses a hat; helps a friend; learns to swim; bakes bread; is afraid of the dark; shares the last
        apple; plants a seed; gets lost; makes a new friend; tells the truth; wants to fly; builds a small house; hears
        a strange noise; waits for the snow; is late; breaks a cup; writes a letter; finds a box; sings a song; mends a
        broken chair; looks at the moon; catches a fish; gives away a toy; cannot find the door; runs a race; paints a
        picture; misses the bus; saves a bird; says sorry; wakes up too early; buys new shoes; burns the soup; drops the
        keys in the water; has a bad cold; forgets a birthday; cannot sleep; fixes a bicycle; moves to another town;
        looks for a cat; eats too much cake; gets a present; takes the wrong bag; learns a new word; cleans the whole
        house; meets an old friend; wins a game; loses a game; makes a kite; finds some money; cooks for ten people;
        falls into a puddle; hides under the bed; grows a big pumpkin; reads a long book; visits the sea; waits for a
        phone call; keeps a secret; says goodbye; works all night; rides a horse; climbs a tree; counts the stars; draws
        a map; learns to wait; carries a heavy bag; opens a shop; tries new food; watches the rain; feeds the ducks
        """
    ),
    "object": _each(
        """
        a red umbrella; a heavy bag; an old book; a basket of apples; a letter; a small box; a warm coat; a cup of tea;
        a loaf of bread; a wooden spoon; a blue ball; a long rope; a bunch of flowers; a lamp; a broken clock; a map; a
        jar of honey; a fishing net; a guitar; a bucket of water; a green scarf; a key; a picture; a piece of cake; a
        ladder; a pair of boots; a bottle of milk; a newspaper; a paper bag; a toy boat; a bicycle; a big stone
        """
    ),
    "time": _each(
        """
        early in the morning; on Monday; on Tuesday evening; on Wednesday; on Thursday morning; on Friday; on Saturday;
        on Sunday afternoon; after lunch; before breakfast; at noon; at midnight; last summer; last winter; in April; in
        October; at six o'clock; late at night; after school; after work; yesterday; this morning; one cold day; one hot
        day; on the first day of spring; two days later; in the middle of the night; every evening; last week; one night
        """
    ),
    "weather": _each(
        """
        raining; snowing; very hot; cold and clear; windy; foggy; almost dark; still early; a grey day; warm outside; a
        sunny day; getting late; very quiet; a busy day; dark outside; a beautiful morning
        """
    ),
    "said": _each(
        """
        where is my hat?; come and look!; I am hungry,; we are late!; who is there?; can you help me?; it is too cold,;
        I have an idea,; what is in the box?; wait for me!; do you hear that?; I lost my key,; dinner is ready!; that is
        not mine,; look at the sky!; may I come in?; let us go home,; please be quiet,; I cannot find it,; how much is
        it?; this is for you,; good morning!; I did it!; the bus is gone,; is it far?; you are early,; my shoes are wet,
        """
    ),
    "moment": _each(
        """
        a walk in the park; a cold winter morning; breakfast at home; a day at the beach; a visit to a friend; a trip by
        train; an evening by the fire; a rainy afternoon; a lesson at school; a picnic by the river; shopping at the
        market; cooking dinner; washing the dog; the first day of school; a walk home in the dark; a game of football;
        feeding the ducks; a birthday; working in the garden; waiting for the bus; a visit to the doctor; painting a
        room; a long drive; doing the dishes; a haircut; cleaning the windows; packing a bag; a swim in the lake; fixing
        a bicycle; baking a cake; a night in a tent; picking apples; a morning at work; going to bed; a walk in the
        snow; a visit to the library; buying bread; a storm; dinner with the family; the last day of the holidays; a
        wedding; moving to a new house; a day on a farm; a day at the zoo; a concert; learning to ride a bicycle
        """
    ),
}
ONE = _each(
    """
    the sun; the moon; the sea; snow; rain; the wind; ice; fire; grass; bread; milk; honey; salt; soup; winter; summer;
    spring; autumn; the morning; the night; sleep; music; money; the earth; air; water; sand; wood; glass; paper; wool;
    gold; soap; tea; coffee; sugar; rice; cheese; butter; cake; breakfast; dinner; the sky; the heart; work; homework; a
    family; a good friend; a school; a library; a hospital; a garden; a farm; a market; a kitchen; a bridge; a village;
    a city; a forest; a desert; an island; a mountain; a river; a lake; a rainbow; a storm; a doctor; a teacher; a baker
    """
)
MANY = _each(
    """
    rivers; mountains; clouds; trees; flowers; seeds; apples; eggs; potatoes; dogs; cats; horses; cows; bees; ants;
    birds; owls; whales; spiders; snakes; chairs; lamps; clocks; bicycles; trains; boats; bridges; roads; houses; doors;
    teachers; doctors; bakers; farmers; schools; dreams; friends; books; letters; stars; stones; shoes; hats; coats;
    umbrellas; windows; keys; beds; mirrors; pens; spoons; telephones; cars; buses; planes; ships; oranges; carrots;
    onions; tomatoes; beans; bananas; frogs; ducks; chickens; goats; pigs; rabbits; foxes; bears; lions; elephants;
    monkeys; butterflies; worms; turtles; penguins; wolves; shadows; forests; beaches; caves; parks; museums; nurses;
    builders; pilots; cooks; children; babies; grandparents; neighbours; teeth; hands; eyes; ears; games; songs; drums;
    pictures; colours; numbers; words; questions; mistakes; birthdays; holidays
    """
)
#: What is asked for, by kind. ``{also}`` names what the beginning of the answer brings in.
ASKS: dict[str, tuple[str, ...]] = {
    "story": _each(
        """
        Write a short story for young children about {about}{also} who {event}.; Write a story for young children about
        {about}{also}.; Write a short bedtime story about {about}{also} who {event}.; Write a story about a day in the
        life of {about}{also}.; Write a short, simple story about {about}{also} who {event}.
        """
    ),
    "fact": _each(
        """
        What {is} {thing}{also}? Explain it to a young child.; Explain to a young child why we need {thing}{also}.;
        Explain to a young child what {thing} can do{also}.; Explain to a young child where we find {thing}{also}.; Tell
        a young child a few simple things about {thing}{also}.; Write a page of a picture book for young children about
        {thing}{also}.; Explain to a young child why people like {thing}{also}.; Tell a young child how people live with
        {thing}{also}.
        """
    ),
    "moment": _each(
        """
        Write a story for young children about {moment}, with {about}{also}.; Write a page of a diary about
        {moment}{also}.; Tell a memory of {moment}, in the words of {about}{also}.; Write a short, simple story about
        {moment}{also}.
        """
    ),
    "letter": _each(
        """
        Write a letter to {friend}, who is a good friend, about {moment}{also}.; Write a letter from {about} to
        {friend}, about {moment}{also}.
        """
    ),
}
#: How the answer begins, by kind.
STARTS: dict[str, tuple[str, ...]] = {
    "story": _each(
        """
        {name}; {name} was; {name} had; {name} and {friend}; {name} came; {name} looked; {time}, {name}; {time}, {name}
        and {friend}; it was {weather} when {name}; when {name} came home,; {name} had {object}; {name} carried
        {object}; "{said}" said {name}.; "{said}" said {friend}.; {name} lived; {name} did not; {name} could not; {name}
        wanted; {friend} told {name}; {friend} gave {name} {object}; nobody knew that {name}; every day, {name}; {name}
        stood {place}; {name} opened; {name} forgot; it was {weather}, and {name}; {time}, {friend} came; {name} liked;
        {name} put {object}; {place} there; {place}, {name}; all week, {name}; {name} took {object}; for a long time,
        {name}; {name} ran; {name} found {object}; {name} heard; {time}, it was {weather}. {name}; {name} saw; {friend}
        had; {name} always; there was once {about}; once, {name}; {name} went; {name} lost; {name} sat; there was
        {object}; {time}, the day was; {name} woke up
        """
    ),
    "fact": _each(
        """
        {thing} {is}; {thing} can; we need {thing}; you can find {thing}; people like {thing}; {thing} {has}; long ago,
        {thing}; when you see {thing},; without {thing},; {time}, people use {thing}; some people say that {thing};
        {thing} {does} not; look at {thing}. You; people use {thing}; there {is} {thing}; {thing} and {other}; {time},
        you can see {thing}; my mother says that {thing}; if you look at {thing},; {name} likes {thing} because; {name}
        knows a lot about {thing}.; {thing} {is} important because; {place}, people; in many countries, {thing}
        """
    ),
    "moment": _each(
        """
        {name}; it was {weather}. {friend}; {name} and {friend}; {name} stood; {time}, the kitchen was; {time}, the
        street was; outside, it was {weather}. {name}; {friend} was; {name} put {object}; {time}, on the table there;
        {time}, {name}; {time}, we; {place}, {name}; the first thing {friend}; "{said}" said {friend}.; {friend}
        smelled; {name} opened; {friend} brought {object}; there was {object}; {place}, everyone was; {time}, the room
        was; {name} sat; {name} wore; {time}, the water was; I remember {friend}; {friend} and I were; {time}, we went;
        my mother and {friend}; my father had {object}; I was with {friend}; {time}, I woke up; today was {friend}'s;
        today I met {friend}; {friend} and I; {time}, I; it was {weather}, and I
        """
    ),
    "letter": _each(
        """
        Dear {friend}, I am; Dear {friend}, thank you; Dear {friend}, {time}, I; Dear {friend}, it is {weather}; Dear
        {friend}, how are; Dear {friend}, I hope; Dear {friend}, we; Dear {friend}, do you; Dear {friend}, yesterday;
        Dear {friend}, I found {object}; Dear {friend}, the weather; Dear {friend}, today; Dear {friend}, my; Dear
        {friend}, I wanted; Dear {friend}, last; Dear {friend}, you
        """
    ),
}
