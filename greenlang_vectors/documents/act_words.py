"""What the divisions of an act are called in the official languages of the European Union.

Articles, annexes and the line before the recitals in all of them; other divisions in those that
most acts here are read in. As the Official Journal prints them (Interinstitutional style guide).
"""

from __future__ import annotations

import re
from typing import Final

_WORDS: Final = {
    "article": "Article Artikel Artículo Articolo Artigo Artykuł Článek Článok Člen Članak"
    " Articolul Artikkel Artikolu Airteagal Άρθρο Член",
    "annex": "Annex Anhang Annexe Anexo Allegato Bijlage Bilag Bilaga Załącznik Příloha Príloha"
    " Priloga Prilog Anexa Liite Lisa Anness Iarscríbhinn Παράρτημα Приложение",
    "appendix": "Appendix Anlage Appendice Apéndice Apêndice Aanhangsel Dodatek",
    "part": "Part Teil Partie Parte Deel Część",
    "title": "Title Titel Titre Título Titolo Tytuł",
    "chapter": "Chapter Kapitel Chapitre Capítulo Capo Hoofdstuk Rozdział",
    "section": "Section Abschnitt Sección Sezione Secção Afdeling Sekcja",
    "subsection": "Subsection Sub-section Unterabschnitt Sous-section Subsección Sottosezione",
}
_AFTER_NUMBER: Final = {
    "article": "artikla cikk straipsnis pants",
    "annex": "MELLÉKLET PRIEDAS PIELIKUMS",
}
"""Those that stand behind their number: Finnish, Hungarian, Lithuanian, Latvian."""

KIND_OF: Final = {
    word.casefold(): kind
    for words in (_WORDS, _AFTER_NUMBER)
    for kind, listed in words.items()
    for word in listed.split()
}
"""The English name of a division, by its word in any language, in lower case."""

RECITALS: Final = frozenset(
    (
        "whereas:", "in erwägung nachstehender gründe:", "considérant ce qui suit:",
        "considerando lo siguiente:", "considerando quanto segue:", "considerando o seguinte:",
        "overwegende hetgeen volgt:", "a także mając na uwadze, co następuje:",
        "vzhledem k těmto důvodům:", "keďže:", "mivel:", "întrucât:",
        "ud fra følgende betragtninger:", "av följande skäl:", "sekä katsovat seuraavaa:",
        "ning arvestades järgmist:", "kadangi:", "tā kā:", "ob upoštevanju naslednjega:",
        "budući da:", "като имат предвид, че:", "εκτιμώντας τα ακόλουθα:", "billi:",
        "de bharr an méid seo a leanas:",
    )
)  # fmt: skip
"""What recitals are announced by, in lower case."""


def alternatives(*kinds: str) -> str:
    """The words for these divisions, of all if none is named, as a part of a regular expression."""
    listed = " ".join(_WORDS[kind] for kind in kinds or _WORDS).split()
    return "|".join(re.escape(word) for word in sorted(listed, key=len, reverse=True))


def alternatives_after_number(kind: str) -> str:
    """The words for this division that stand behind its number, in the same way."""
    return "|".join(_AFTER_NUMBER[kind].split())
