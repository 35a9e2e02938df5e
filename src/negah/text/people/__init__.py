"""English captions without words that guess gender or age: "a person in a red jacket".

What a photo shows is a person; "man", "girl", "elderly" and "his" are guesses from looks. Nouns
become "person" or "people", adjectives of age and gender are left out, pronouns become "they" with
the form of the verb, and clumsy results are rephrased: "a man and a woman" are "two people", "a
woman with her son" is "a person with another person". Roles keep their neutral name ("police
officer"); animals keep their adjectives ("a baby elephant").

The rules use words and their neighbours; there is no parser. They were developed on the captions of
Flickr8k and COCO.
"""

from __future__ import annotations

from negah.text.people.adjectives import drop_adjectives, find_people, speaks_of_animals
from negah.text.people.counting import count_together
from negah.text.people.naming import keep_names, replace_ages, replace_phrases, replace_words
from negah.text.people.pronouns import neutral_pronouns
from negah.text.people.telling import replace_relatives, tell_apart
from negah.text.people.word_list import joined, split_words, with_articles

__all__ = ["neutral_people"]


def neutral_people(text: str) -> str:
    """``text``, an English caption, without words that guess gender or age from looks.

    Any case and punctuation is accepted, also tokenised text ("the man 's dog ."). The case of the
    first letter is kept. Words of other languages are not changed.

    >>> neutral_people("a young boy in a red shirt is riding his bike")
    'a person in a red shirt is riding their bike'
    >>> neutral_people("An old man and a woman look at a baby elephant.")
    'Two people look at a baby elephant.'
    """
    words = split_words(text)
    if not words:
        return text
    capital = words[0].text[:1].isupper()
    keep_names(words)
    replace_phrases(words)
    replace_ages(words)
    replace_words(words)
    find_people(words)
    drop_adjectives(words)
    count_together(words)
    replace_relatives(words)
    tell_apart(words)
    neutral_pronouns(words, of_animals=speaks_of_animals(words))
    return joined(with_articles(words), capital=capital)
