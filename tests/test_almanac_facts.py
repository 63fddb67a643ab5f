import calendar
import csv
import json
import subprocess
import sys
import unicodedata
from collections import Counter
from importlib import resources, util
from pathlib import Path

import pytest
from babel import Locale
from countryinfo import CountryInfo

from lmcore.data.almanac.facts import GROUPS, TABLES, Fact, entities, facts, names_kept_out, row, table

TABLES_FOLDER = resources.files("lmcore.data.almanac") / "tables"
COLUMNS = {
    "countries": "name,article,capital,continent,language,currency,neighbours,group",
    "animals": "name,class,legs,sound,young,home,diet,group",
    "opposites": "word,opposite",
    "colours": "thing,colour",
    "planets": "name,position,kind,moons",
    "elements": "name,symbol,number",
    "foods": "name,kind,taste",
    "jobs": "job,tool,place",
    "calendar": "kind,name,position",
}
CONTINENTS = {"Africa", "Asia", "Europe", "North America", "Oceania", "South America"}
LEGS = {"bird": 2, "fish": 0, "insect": 6, "arachnid": 8}
MAY_BE_EMPTY = {"article", "neighbours", "sound", "young"}

COUNTRYINFO_NAMES = {
    "Bahamas": "The Bahamas",
    "Eswatini": "Swaziland",
    "Gambia": "The Gambia",
    "Micronesia": "Federated States of Micronesia",
    "North Macedonia": "Republic of Macedonia",
    "Sao Tome and Principe": "São Tomé and Príncipe",
    "Vatican City": "Holy See (Vatican City State)",
}
DIFFERENT_CAPITALS = {
    "Burundi": "moved from Bujumbura to Gitega in 2019",
    "Equatorial Guinea": "moved from Malabo to Ciudad de la Paz in 2026",
    "Eswatini": "Mbabane is the seat of government, Lobamba of parliament and the royal court",
    "Grenada": "spelling: St. George's",
    "Kazakhstan": "Nur-Sultan is called Astana again since 2022",
    "San Marino": "the city is called San Marino; 'City of' is a description",
    "Sri Lanka": "Colombo gave up the role to Sri Jayawardenepura Kotte in 1982",
    "United States": "D.C. is the district; the city is Washington",
    "Vatican City": "the city-state is its own capital",
    "Yemen": "spelling: Sana'a",
}
DIFFERENT_CURRENCIES = {
    "Bulgaria": "the euro since 2026",
    "Croatia": "the euro since 2023",
    "Guyana": "spelling: Guyanaese",
    "Kyrgyzstan": "spelling: Kyrgystani",
    "Tonga": "spelling: another apostrophe",
    "Trinidad and Tobago": "spelling: &",
    "Turkmenistan": "English usage: Turkmen, not Turkmenistani",
    "United Arab Emirates": "abbreviated",
    "United Kingdom": "the pound's official name",
    "Uzbekistan": "English usage: Uzbek, not Uzbekistani",
    "Zimbabwe": "Zimbabwe Gold since 2024",
}
DIFFERENT_LANGUAGES = {
    "Bangladesh": "English usage: Bengali",
    "Burkina Faso": "French ceased to be official in 2024; Mossi is the largest official language",
    "Burundi": "English usage: Kirundi",
    "Comoros": "Comorian is official too, and spoken by nearly everybody",
    "East Timor": "Tetum is official too, and the most widely spoken",
    "Eswatini": "English usage: Swazi",
    "Lesotho": "English usage: Sesotho",
    "Malaysia": "none listed",
    "Maldives": "spelling: Divehi",
    "Mali": "French ceased to be official in 2023; Bambara is the largest official language",
    "Montenegro": "no name known for the code cnr",
    "Nauru": "English usage: Nauruan",
    "Niger": "Hausa became the national language in 2025",
    "Palau": "Palauan is official too, and the language of the people",
    "Papua New Guinea": "Tok Pisin is official too, and the most widely spoken",
    "Philippines": "Filipino is the national language",
    "Serbia": "listed under rs, which is no language's code",
    "Seychelles": "Seychellois Creole is official too, and the language of the people",
    "Tuvalu": "Tuvaluan is official too, and the language of the people",
}
DIFFERENT_BORDERS = {
    ("Afghanistan", "India"): "only by India's claim to land that Pakistan holds",
    ("Albania", "Serbia"): "Kosovo lies between them",
    ("Bhutan", "Myanmar"): "India lies between them",
    ("Chad", "South Sudan"): "Sudan and the Central African Republic lie between them",
    ("Cyprus", "United Kingdom"): "only at British military bases on the island",
    ("France", "Suriname"): "only by French Guiana, which is overseas",
    ("India", "Sri Lanka"): "the sea lies between them",
    ("Iran", "Kuwait"): "the sea lies between them",
}
PLANETS = "Mercury Venus Earth Mars Jupiter Saturn Uranus Neptune".split()
SYMBOLS = (  # the periodic table, in its order
    "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr "
    "Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta "
    "W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu"
).split()


def plain(text: str) -> str:
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()


def neighbours(country: str) -> list[str]:
    return [name for name in row("countries", country)["neighbours"].split(";") if name]


@pytest.fixture(scope="module")
def countryinfo() -> dict[str, CountryInfo]:
    return {name: CountryInfo(COUNTRYINFO_NAMES.get(name, name)) for name in entities("countries")}


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_complete_and_tidy(name):
    text = (TABLES_FOLDER / f"{name}.csv").read_bytes().decode("ascii")
    header, *rows = csv.reader(text.splitlines())
    assert ",".join(header) == COLUMNS[name]
    key = header.index("name") if "name" in header else 0
    subjects = [cells[key] for cells in rows]
    assert len(set(subjects)) == len(subjects)
    if name != "calendar":
        assert subjects == sorted(subjects)
    for cells in rows:
        assert len(cells) == len(header), cells
        for column, cell in zip(header, cells, strict=True):
            assert cell == cell.strip() and '"' not in cell and "  " not in cell, cells
            assert cell or column in MAY_BE_EMPTY, f"{cells}: {column} is empty"


def test_cells_hold_what_their_column_promises():
    for country in table("countries"):
        assert country["article"] in ("", "the")
        assert country["continent"] in CONTINENTS
        assert country["group"] in GROUPS
    for animal in table("animals"):
        assert animal["group"] in GROUPS
        assert animal["legs"] in ("0", "2", "4", "6", "8", "10")
        assert int(animal["legs"]) == LEGS.get(animal["class"], int(animal["legs"])), animal


def test_every_border_has_two_sides():
    for country in entities("countries"):
        assert neighbours(country) == sorted(set(neighbours(country)) - {country})
        for other in neighbours(country):
            assert country in neighbours(other), f"{country} borders {other}, but not the other way round"


def test_the_opposite_of_the_opposite_is_the_word_itself():
    words = [word for pair in table("opposites") for word in pair.values()]
    assert [word for word, count in Counter(words).items() if count > 1] == []


def test_elements_days_months_and_planets_are_in_order():
    assert all(SYMBOLS[int(element["number"]) - 1] == element["symbol"] for element in table("elements"))
    names = {"day": list(calendar.day_name), "month": list(calendar.month_name)[1:]}
    for kind, expected in names.items():
        rows = [entry for entry in table("calendar") if entry["kind"] == kind]
        assert [entry["name"] for entry in sorted(rows, key=lambda entry: int(entry["position"]))] == expected
    planets = {int(planet["position"]): planet["name"] for planet in table("planets")}
    assert [planets[position] for position in range(1, 9)] == PLANETS


def test_capitals_and_continents_agree_with_countryinfo(countryinfo):
    different = set()
    for country, info in countryinfo.items():
        if plain(info.capital()) != row("countries", country)["capital"].lower():
            different.add(country)
        assert info.region().removesuffix("s") in row("countries", country)["continent"], country
    assert different == set(DIFFERENT_CAPITALS)


def test_currencies_and_languages_agree_with_countryinfo(countryinfo):
    english, different_currencies, different_languages = Locale("en"), set(), set()
    for country, info in countryinfo.items():
        # A currency's earlier banknotes have their own code: "Belarusian Ruble (2000-2016)" is the same name.
        currencies = [plain(english.currencies[code].split(" (")[0]) for code in info.currencies()]
        if not any(name.endswith(row("countries", country)["currency"].lower()) for name in currencies):
            different_currencies.add(country)
        languages = [english.languages.get(code) for code in info.languages()]
        if row("countries", country)["language"] not in languages:
            different_languages.add(country)
    assert different_currencies == set(DIFFERENT_CURRENCIES)
    assert different_languages == set(DIFFERENT_LANGUAGES)


def test_borders_agree_with_countryinfo(countryinfo):
    by_code = {info.iso(3): country for country, info in countryinfo.items()}
    theirs = {
        tuple(sorted((country, by_code[code])))
        for country, info in countryinfo.items()
        for code in info.borders()
        if code in by_code
    }
    ours = {tuple(sorted((a, b))) for a in entities("countries") for b in neighbours(a)}
    assert ours ^ theirs == set(DIFFERENT_BORDERS)


def test_groups_have_their_sizes_and_are_spread_over_continents_and_classes():
    for group, countries, animals in (("demonstrated", 30, 16), ("withheld", 25, 14)):
        assert len(entities("countries", group)) == countries
        assert len(entities("animals", group)) == animals
        assert {row("countries", name)["continent"] for name in entities("countries", group)} == CONTINENTS
        assert len({row("animals", name)["class"] for name in entities("animals", group)}) >= 5


@pytest.mark.parametrize("name", TABLES)
def test_everything_belongs_to_one_group(name):
    assert sorted(entities(name)) == sorted(subject for group in GROUPS for subject in entities(name, group))


def test_no_kept_out_name_hides_in_what_is_taught():
    told = [
        cell.lower()
        for name in TABLES
        for subject in entities(name, "taught")
        for column, cell in row(name, subject).items()
        if column != "neighbours"
    ]
    told += [fact.value.lower() for fact in facts() if fact.group == "taught"]
    hidden = {(name, cell) for name in names_kept_out() for cell in told if name.lower() in cell}
    assert hidden == set()


def test_a_fact_is_kept_out_whenever_it_names_a_kept_out_entity():
    for fact in facts():
        if {fact.subject, fact.value} & names_kept_out():
            assert fact.group != "taught", fact
    assert Fact("countries", "France", "neighbours", "Andorra", "withheld") in facts()
    assert Fact("countries", "France", "neighbours", "Spain", "taught") in facts()


def test_kept_out_names_hardly_occur_in_human_chat():
    dataset = Path(util.find_spec("chitchat_dataset").origin).with_name("dataset.json")
    conversations = json.loads(dataset.read_text(encoding="utf-8")).values()
    turns = (turn for conversation in conversations for turn in conversation["messages"])
    chat = "\n".join(message["text"] for turn in turns for message in turn).lower()
    counts = {name: chat.count(name.lower()) for name in names_kept_out()}
    assert chat.count("france") > 10
    assert {name: count for name, count in counts.items() if count > 2} == {}
    assert sum(counts.values()) <= 12


def test_names_kept_out_are_names_and_capitals():
    assert {"Estonia", "Tallinn", "Kuwait City", "okapi", "wombat"} <= names_kept_out()
    assert not {"France", "Paris", "dog", "mammal", "Europe", "euro"} & names_kept_out()


def test_there_is_enough_to_learn():
    assert sum(len(entities(name)) for name in TABLES) >= 600
    assert len(facts()) >= 3000 and len(set(facts())) == len(facts())


def test_facts_say_what_the_tables_say():
    assert Fact("countries", "France", "capital", "Paris", "taught") in facts()
    assert Fact("countries", "Monaco", "capital", "Monaco", "demonstrated") in facts()
    assert Fact("calendar", "May", "position", "5", "taught") in facts()
    relations = {fact.relation for fact in facts() if fact.subject == "Netherlands"}
    assert relations == {"capital", "continent", "language", "currency", "neighbours"}
    assert all(fact.value for fact in facts())


def test_rows_are_copies():
    row("countries", "France")["capital"] = "Lyon"
    table("countries")[0]["name"] = "Utopia"
    assert row("countries", "France")["capital"] == "Paris" and table("countries")[0]["name"] == "Afghanistan"


def test_what_does_not_exist_is_named():
    with pytest.raises(KeyError, match="no table 'rivers'.*countries"):
        table("rivers")
    with pytest.raises(KeyError, match="no row 'Utopia'"):
        row("countries", "Utopia")
    with pytest.raises(KeyError, match="no group 'secret'.*withheld"):
        entities("countries", "secret")


def test_reading_facts_imports_nothing_heavy():
    code = (
        "import sys, lmcore.data.almanac.facts as _; from lmcore.data.almanac.facts import facts; facts(); "
        "print([m for m in ('torch', 'numpy', 'pandas', 'datasets') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
