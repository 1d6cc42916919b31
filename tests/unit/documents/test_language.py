"""The language of a text, as PostgreSQL names it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenlang_vectors.documents.language import CONFIGURATIONS, language_of

TEXTS = {
    "english": "The undertaking shall disclose how its strategy takes account of the interests of "
    "its stakeholders and of the impacts of its activities on the climate.",
    "german": "Die Verordnung gilt für alle Unternehmen, die relevante Rohstoffe in Verkehr "
    "bringen oder ausführen, und tritt am zwanzigsten Tag nach ihrer Verkündung in Kraft.",
    "french": "Les entreprises publient des informations sur leurs émissions de gaz à effet de "
    "serre, y compris celles de leur chaîne de valeur, dans leur rapport de gestion.",
    "spanish": "Las empresas deberán informar sobre las emisiones de gases de efecto invernadero "
    "de toda su cadena de valor, así como sobre los riesgos que de ellas se derivan.",
    "finnish": "Yritysten on julkistettava tiedot kasvihuonekaasupäästöistään sekä niihin "
    "liittyvistä riskeistä osana toimintakertomustaan.",
    "greek": "Οι επιχειρήσεις δημοσιοποιούν πληροφορίες σχετικά με τις εκπομπές αερίων του "
    "θερμοκηπίου στην έκθεση διαχείρισής τους.",
    "simple": "Przedsiębiorstwa ujawniają informacje dotyczące emisji gazów cieplarnianych w "
    "całym łańcuchu wartości oraz związanego z nimi ryzyka.",
}


@pytest.mark.parametrize("language", TEXTS)
def test_the_language_of_a_paragraph_is_told(language: str) -> None:
    assert language_of(TEXTS[language]) == language


def test_a_language_without_a_stemmer_is_taken_as_it_is_written() -> None:
    assert language_of("企业应当披露其温室气体排放量以及相关的气候风险和机遇。" * 3) == "simple"


@pytest.mark.parametrize(
    "text", ["", "GHG", "Scope 3", "emissions", "hello", "CO2 2023 12 34 5", "1 2 3 4 5 " * 500]
)
def test_what_is_too_short_to_tell_or_says_nothing_counts_as_english(text: str) -> None:
    assert language_of(text) == "english"


def test_the_whole_document_counts_not_how_it_begins() -> None:
    assert language_of(
        "TABLE OF CONTENTS\n" + "1.2.3 ......... 4\n" * 60 + TEXTS["german"] * 40
    ) == ("german")
    assert language_of(TEXTS["french"] * 50 + "\n" + "Annex, as published in English. " * 5) == (
        "french"
    )


@settings(max_examples=50, deadline=None)
@given(st.text())
def test_any_text_has_a_language_postgresql_knows(text: str) -> None:
    assert language_of(text) in {*CONFIGURATIONS.values(), "simple"}


def test_nothing_is_loaded_before_a_text_is_read() -> None:
    loaded = "import greenlang_vectors.store.documents, sys; print('py3langid' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, check=True)
    assert done.stdout == b"False\n"
