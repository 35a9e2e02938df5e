"""The words of English captions that guess gender or age, and those around them.

Lists for :mod:`negah.text.people`, made from the captions of Flickr8k and COCO, in lower case.
"""

from __future__ import annotations


def words_of(text: str) -> frozenset[str]:
    """The words of a line."""
    return frozenset(text.split())


def _pairs(text: str) -> dict[str, str]:
    """Parse ``"a=b c=d"`` to a dictionary; a dot represents a space."""
    return {
        one: other.replace(".", " ") for one, other in (pair.split("=") for pair in text.split())
    }


#: Nouns of one person.
SINGULAR = words_of(
    "man woman boy girl guy lady gentleman lad lass gal dude bloke male female child kid"
    " baby toddler infant newborn teen teenager adolescent youth youngster youngling tot tyke"
    " adult grownup grown-up elder senior preschooler pre-teen preteen tween mother"
    " father mom mum dad mommy mummy daddy momma mama papa parent son daughter brother sister"
    " sibling wife husband girlfriend boyfriend uncle aunt niece nephew grandmother grandfather"
    " grandma grandpa grandparent grandson granddaughter grandchild granny stepmother"
    " stepfather widow widower madam sir ma'am womand tomboy babe kiddo kindergartner"
)
#: Nouns of several.
PLURAL = words_of(
    "men women boys girls guys ladies gentlemen lads lasses gals dudes blokes males"
    " females children kids babies toddlers infants newborns teens teenagers adolescents youths"
    " youngsters younglings tots tykes adults grownups grown-ups elders seniors"
    " preschoolers pre-teens preteens tweens mothers fathers moms mums dads parents sons"
    " daughters brothers sisters siblings wives husbands girlfriends boyfriends uncles aunts"
    " nieces nephews grandmothers grandfathers grandparents grandsons granddaughters"
    " grandchildren widows childern childrens persons kiddos kindergartners womens"
)
#: Possessives that lost their apostrophe.
POSSESSIVES = {"mans": "person's", "womans": "person's", "ladys": "person's", "childs": "person's"}
#: Gendered names of occupations and roles, with their neutral names.
ROLES = _pairs(
    "policeman=police.officer policemen=police.officers policewoman=police.officer"
    " policewomen=police.officers fireman=firefighter firemen=firefighters"
    " fisherman=angler fishermen=anglers fisherwoman=angler businessman=businessperson"
    " businessmen=businesspeople businesswoman=businessperson businesswomen=businesspeople"
    " cowboy=cowhand cowboys=cowhands cowgirl=cowhand cowgirls=cowhands"
    " cameraman=camera.operator cameramen=camera.operators mailman=mail.carrier"
    " salesman=salesperson saleswoman=salesperson workman=worker workmen=workers"
    " craftsman=artisan craftsmen=artisans batsman=batter batsmen=batters"
    " baseman=base.player basemen=base.players lineman=line.worker linemen=line.workers"
    " linesman=line.judge horseman=rider horsemen=riders horsewoman=rider sportsman=athlete"
    " sportsmen=athletes sportswoman=athlete sportswomen=athletes sportman=athlete"
    " sportwoman=athlete serviceman=service.member servicemen=service.members"
    " servicewoman=service.member guardsman=guard guardsmen=guards crewman=crew.member"
    " crewmen=crew.members stuntman=stunt.performer stuntmen=stunt.performers"
    " swordsman=fencer swordsmen=fencers doorman=door.attendant doormen=door.attendants"
    " waitress=server waitresses=servers waiter=server waiters=servers"
    " actress=actor actresses=actors hostess=host hostesses=hosts"
    " stewardess=flight.attendant stewardesses=flight.attendants ballerina=ballet.dancer"
    " ballerinas=ballet.dancers bride=newlywed brides=newlyweds groom=newlywed grooms=newlyweds"
    " bridesmaid=wedding.attendant bridesmaids=wedding.attendants"
    " groomsman=wedding.attendant groomsmen=wedding.attendants showgirl=dancer"
    " showgirls=dancers schoolgirl=student schoolgirls=students schoolboy=student"
    " schoolboys=students schoolchild=student schoolchildren=students schoolkids=students"
    " highschoolers=students spokesman=spokesperson spokeswoman=spokesperson"
    " chairman=chair congressman=politician repairman=repairer repairmen=repairers"
    " handyman=repairer garbageman=garbage.collector fielder=fielder snowboarder=snowboarder"
    " maid=housekeeper maids=housekeepers cavemen=cave.dwellers caveman=cave.dweller"
    " frontman=singer gunman=shooter anchorman=presenter weatherman=presenter"
    " yachtsman=sailor oarsman=rower oarsmen=rowers marksman=shooter"
)
#: The nouns of the neutral names, as they appear in a caption.
ROLE_NOUNS = frozenset(name.split()[-1] for name in ROLES.values())
#: Words that end like "man" but are not men, and names of characters and things.
NOT_MEN = words_of(
    "human humans german germans roman romans norman doberman dobermans pitman shaman ottoman"
    " talisman caiman caimans snowman snowmen snowwoman batman superman spiderman spider-man"
    " spider-men pac-man pacman walkman ironman iron-man x-men xmen strongman woman women man"
    " men specimen omen abdomen gentlemen gentleman acumen regimen stamen amen brahman"
    " he-man bushman yeoman dobermen catwoman aquaman"
)
#: Phrases and their replacements; "" drops the phrase. Longest first.
PHRASES = {
    tuple(one.split()): other
    for one, other in {
        "school children": "students",
        "school child": "student",
        "school kids": "students",
        "school boys": "students",
        "school boy": "student",
        "school girls": "students",
        "school girl": "student",
        "boy scouts": "scouts",
        "boy scout": "scout",
        "girl scouts": "scouts",
        "girl scout": "scout",
        "cub scouts": "scouts",
        "senior citizens": "people",
        "senior citizen": "person",
        "baby carriage": "stroller",
        "baby carriages": "strollers",
        "baby stroller": "stroller",
        "baby strollers": "strollers",
        "kiddie pool": "wading pool",
        "kiddy pool": "wading pool",
        "baby pool": "wading pool",
        "man made": "artificial",
        "ball boy": "ball retriever",
        "ball girl": "ball retriever",
        "choir boy": "choir singer",
        "choir boys": "choir singers",
        "boy band": "band",
        "girl band": "band",
        "bride and groom": "newlyweds",
        "groom and bride": "newlyweds",
    }.items()
}
WORDS = {
    "man-made": "artificial",
    "manmade": "artificial",
    "blonde": "blond",
    "kiddie": "",
    "kiddy": "",
}
#: Phrases whose words are kept although they look like guesses.
NAMES = frozenset(
    tuple(one.split())
    for one in (
        "little league",
        "little leaguer",
        "little leaguers",
        "cowboy hat",
        "cowboy hats",
        "cowboy boots",
        "cowboy boot",
        "cowboy outfit",
        "cowboy outfits",
        "cowgirl hat",
        "spider man",
        "iron man",
        "bat man",
        "gingerbread man",
        "snow man",
        "old navy",
        "old fashioned",
        "old fashion",
        "old time",
        "lady liberty",
        "lady bug",
        "baby powder",
        "baby blue",
        "baby oil",
        "baby carrots",
        "baby corn",
        "baby grand",
        "baby breath",
        "dairy queen",
        "burger king",
        "brother printer",
        "beach boys",
        "geek squad",
        "hot dog",
        "hot dogs",
        "corn dog",
        "corn dogs",
        "teddy bear",
        "teddy bears",
        "stuffed animal",
        "stuffed animals",
        "stuffed bear",
        "stuffed bears",
    )
)

#: Adjectives that guess age or gender before any person.
AGES = words_of(
    "young younger youngest youthful elderly eldery middle-aged middleaged aged teenage teenaged"
    " juvenile grown masculine feminine manly girly school-aged all-male all-female all-girl"
    " all-boy"
)
#: Adjectives that guess age or gender only before a person, not before a thing.
SIZES = words_of("old older oldest little small smaller tiny elder senior baby wee")
#: Adjectives, colours and nouns that stand between those and the person.
BETWEEN = words_of(
    "red blue green yellow orange purple pink black white brown gray grey tan blond blonde"
    " brunette redheaded red-headed redhead dark light fair bald balding bearded curly long short"
    " haired hair headed skinned dark-haired dark-skinned blond-haired blonde-haired"
    " brown-haired black-haired red-haired dirty asian african american african-american"
    " african-american indian chinese japanese korean hispanic latino latina mexican caucasian"
    " european arab oriental muslim amish british french tribal native shirtless barefoot"
    " topless naked nude cute pretty beautiful adorable happy sad tall thin skinny slim fat"
    " chubby heavy heavyset overweight large big wet muddy dirty messy bare tattooed pregnant"
    " muscular athletic fit handsome attractive scruffy homeless business professional"
    " tennis baseball soccer football basketball volleyball hockey softball lacrosse rugby cricket"
    " track ballet street school college cross country martial arts"
    " excited angry serious scantily clad toothless freckled unshaven shaggy rugged stylish"
    " horse dirt bike motorcycle ice roller figure ski bull race motocross hockey belly police"
    " security construction formally sweet lone single other same very two three four five six"
)
#: Nouns of people that say neither gender nor age, besides those in -er, -or and -ist.
PEOPLE = words_of(
    "person people individual individuals couple couples athlete athletes student students"
    " model models gymnast gymnasts cyclist cyclists artist artists musician musicians friend"
    " friends pedestrian pedestrians fan fans crowd family families cheerleader cheerleaders"
    " folks folk citizen citizens tourist tourists nurse nurses chef chefs cook cooks passersby"
    " scout scouts pair trio twins vendor vendors actor actors patron patrons guest guests"
    " guitarist guitarists bicyclist bicyclists motorist motorists audience group relatives"
    " newlywed newlyweds umpire umpires referee referees coach coaches pilot pilots soldier"
    " soldiers monk monks nun nuns clown clowns boxer boxers pitcher pitchers catcher catchers"
    " batter batters golfer golfers skier skiers friend leaguer leaguers goalie goalies"
)
#: Words in -er and -or that are not people.
NOT_PEOPLE = words_of(
    "water river under over other another after flower flowers paper tower summer winter shower"
    " sweater sweaters corner center number dinner letter leather weather butter ladder trailer"
    " roller rollers computer computers counter poster posters stroller strollers sprinkler"
    " sprinklers scooter scooters trailer skater-park skateboarder-park her per older younger"
    " either together floor door mirror color colour tractor harbor outdoor indoor motor"
    " collar finger fingers former upper lower inner outer border order power feather feathers"
    " rubber silver copper timber lumber boulder boulders shoulder shoulders helicopter"
    " refrigerator elevator escalator monitor razor sticker stickers marker markers burger"
    " burgers hamburger diaper diapers slipper slippers sneaker sneakers rooster ever never"
    " super cooler locker lockers planter freezer toaster container containers cover covers"
    " dresser tiger tigers panther spider oyster lobster beaver hamster otter panda retriever"
    " retrievers terrier terriers setter enters gathers wanders hovers puckers delivers offers"
    " considers ponders lowers steers answers pointer boxer-dog rottweiler rotweiler"
)
#: Animals: adjectives of their age and sex are kept.
ANIMALS = words_of(
    "animal animals elephant elephants giraffe giraffes zebra zebras bear bears cow cows calf"
    " calves horse horses foal foals colt sheep lamb lambs goat goats deer fawn duck ducks"
    " duckling ducklings goose geese gosling goslings swan swans bird birds chick chicks chicken"
    " chickens monkey monkeys ape apes gorilla gorillas lion lions lioness tiger tigers leopard"
    " cheetah panda pandas cat cats kitten kittens dog dogs puppy puppies pup pups pig pigs"
    " piglet rabbit rabbits bunny fox wolf wolves seal seals penguin penguins owl eagle hawk"
    " peacock moose elk bull bulls ram buffalo bison camel camels donkey donkeys pony ponies"
    " alligator crocodile turtle turtles fish shark whale dolphin squirrel squirrels ostrich"
    " antelope gazelle rhino rhinos hippo kangaroo llama llamas alpaca cub cubs retriever"
    " terrier poodle labrador collie beagle bulldog husky shepherd dalmatian dachshund"
    " rottweiler hound greyhound otter mouse rat hamster lizard snake frog"
)
#: Animals next to which "baby" or "mother" more likely means an animal than a person.
WILD = ANIMALS - words_of(
    "animal animals dog dogs puppy puppies pup pups cat cats kitten kittens retriever terrier"
    " poodle labrador collie beagle bulldog husky shepherd dalmatian dachshund rottweiler hound"
    " greyhound horse horses pony ponies fish monkey"
)
#: Things and activities whose names lose "baby", "kids" or "women's" ("baby seat").
THINGS = words_of(
    "seat seats doll dolls bottle bottles crib cribs gate swing toy toys clothes clothing bed"
    " blanket blankets bath bathtub tub food chair walker monitor backpack bag buggy bouncer"
    " pram wipes book books gym slide bike bicycle ride rides playground park museum menu room"
    " restroom restrooms bathroom bathrooms toilet team teams soccer basketball football"
    " volleyball baseball hockey softball lacrosse rugby tennis cricket gymnastics"
    " league leagues shoes shoe carrier playset playpen sled school bedroom underwear"
    " wear outfit hat puzzle plate cup ball birthday party pool"
)
#: Words that end a noun phrase or begin another.
FUNCTION = words_of(
    "a an the this that these those some several many few each every both all no any another"
    " and or but nor while as when where who whom whose which that than then so if because"
    " is are was were be been being am has have had do does did can could will would may might"
    " must should not n't 's in on at of to from with without by for into onto over under near"
    " next beside besides behind above below between among around along across through during"
    " off up down out about against toward towards upon inside outside past before after like"
    " her his their its my your our he she they it we you i him them us there here one"
)
NUMBERS = dict(
    zip(
        (
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
        ),
        range(1, 13),
        strict=True,
    )
)
#: Determiners for an unspecified plural number.
UNKNOWN_NUMBERS = words_of("several many some few numerous various multiple")
#: Nouns that "male", "female" and "adult" describe, besides people.
FIGURES = words_of(
    "statue statues mannequin mannequins figure figures voice band duo hand hands leg legs feet"
    " torso body face sign symbol silhouette bodies dummy skeleton form"
)
#: Singular, they describe several as well: "female surfers".
DESCRIBING = words_of("male female youth teen adult child junior infant toddler senior")
#: After "boys" or "kids" these are rather what they do.
VERBS = words_of("swing ride rides slide bike bicycle book bath bed ball party park gate")
#: Groups of nouns that cannot refer to the same person: "the boy" after "a man" is another one.
MEN = words_of(
    "man men boy boys guy guys gentleman lad dude bloke chap male males father dad daddy papa son"
    " brother husband boyfriend uncle nephew grandfather grandpa grandson"
)
WOMEN = words_of(
    "woman women girl girls lady ladies lass gal female females mother mom mum mommy daughter"
    " sister wife girlfriend aunt niece grandmother grandma granddaughter granny"
)
GROWN = words_of(
    "man men woman women lady ladies gentleman adult adults mother father mom dad mum wife husband"
    " grandmother grandfather parent parents elder senior"
)
SMALL = words_of(
    "boy boys girl girls child children kid kids baby babies toddler toddlers infant newborn tot"
    " youngster teen teenager"
)
#: Clothes: people who are distinguished by them are not counted together.
CLOTHES = words_of(
    "shirt t-shirt tshirt dress jacket coat hat cap suit skirt sweater top vest uniform bikini"
    " swimsuit hoodie sweatshirt outfit costume jersey scarf helmet shorts robe gown tank beard"
)
#: Adverbs between a pronoun and its verb.
ADVERBS = words_of(
    "also then just now still almost always never sometimes soon both even ever already perhaps"
    " once again not"
)
#: After "her": it is an object ("with her on") before these, else a possessive ("her bike").
AFTER_OBJECT = words_of(
    "a an the and or but as while in on at of to from with without by for into onto over near"
    " under behind through across around along toward towards off up down out away is are was"
    " were who that this these some during before after like when where while it because his"
    " very so such then there together outside inside between about"
)
#: Verbs in the third person that are no plural nouns in captions: they follow a pronoun's verb.
COORDINATED = words_of(
    "gets makes takes gives goes does is has holds looks smiles stands sits lies leans reaches"
    " tries talks laughs eats drinks reads writes rides runs walks jumps plays throws catches"
    " hits kicks swings pulls pushes carries puts sees watches wears waves points sings dances"
    " poses prepares swims climbs falls flies lands leaps hangs cries crosses stares waits"
    " enjoys uses turns touches tosses sticks pets listens helps hugs kisses grabs follows"
    " feeds drops drives cuts cooks chases brushes bends balances appears attempts seems is was"
)

#: Words that may occur between a determiner and its noun.
ADJECTIVES = BETWEEN | AGES | SIZES
POSSESSIVE_PRONOUNS = ("his", "her", "its", "their", "my", "our", "your")
DETERMINERS = (
    frozenset(("a", "an", "the", "another", *POSSESSIVE_PRONOUNS)) | set(NUMBERS) | UNKNOWN_NUMBERS
)
