"""Text values: people, companies, places, codes. Open enough that they must be copied, not remembered."""

from __future__ import annotations

from random import Random

from . import knobs

_CITIES = """
Oslo Turin Lyon Porto Gdansk Malmo Bergen Leeds Cork Ghent Graz Basel Sofia Izmir Riga Tartu Vilnius Dakar Accra
Nairobi Tunis Cairo Muscat Lahore Pune Jaipur Hanoi Cebu Osaka Kobe Busan Perth Darwin Quito Lima Bogota Santos
Recife Toledo Austin Boise Denver Tampa Halifax Calgary Leon Murcia Bremen Essen Krakow Brno Zagreb Split Haifa
Baku
| New York | San Jose | Port Louis | Cape Town | Las Palmas | Abu Dhabi | Santa Fe | Fort Worth | Hong Kong
| Kuala Lumpur | Buenos Aires | La Paz | Den Haag | Bad Homburg | Tel Aviv | Addis Ababa | Rio Branco
| Baton Rouge"""
_COUNTRIES = """
Norway Poland Spain Chile Kenya Japan India Canada Brazil Ghana Turkey Greece Latvia Peru Egypt Oman Italy
Austria Ireland Denmark Hungary Vietnam Mexico Morocco Serbia Iceland
| South Korea | New Zealand | Costa Rica | Sri Lanka | South Africa | Saudi Arabia | El Salvador
| United Kingdom"""
_FIRST = """
Anna Bruno Carla Dario Elena Felix Greta Hugo Irene Jonas Karin Liam Marta Nils Olga Pablo Ruth Samir Tessa
Victor Wanda Yusuf Zoe Aisha Boris Clara Dimitri Esther Farid Gloria Henrik Ines Jakob Keiko Leila Mateo Nadia
Omar"""
_LAST = """
Keller Brandt Moreau Silva Novak Lindqvist Okafor Tanaka Haddad Petrov Costa Larsen Weber Duarte Farkas Ivanov
Jensen Kovac Lopez Meyer Nyberg Ortega Patel Quist Romano Schmidt Torres Ulrich Varga Winter Yilmaz Zeman Abadi
Bianchi Cohen Demir Eklund Fischer Grimaldi Hoffman Ibrahim Jankowski Kaya Lambert Mansour Nielsen Olsen Pereira
Rossi Santos Adler Becker Castro Dalton Egger Ferrari Gomez Hansen Iyer Jovic Kruger Lund Marino Nagy Orlov
Peeters Ramos Sato Toth Ueda Vogel Wagner Xu Young Zhang Arslan Berg Conti Dietz Evans Ford Gallo Hill Ito
Janssen Kim Leroy Mori Nunez"""
_STEMS = """
Nordal Brightwell Kestrel Ostrava Halden Corvex Lumina Pinecrest Tarvos Meridian Solvano Quantel Ferrum Aldora
Baltic Crestline Delmont Evergreen Fairway Granite Harwick Inova Juniper Kronos Lakeside Montrose Nimbus Orchid
Pacific Redstone Sterling Tundra Umbra Valmont Westbrook Xenia Yarrow Zenith Ardent Birchwood Cobalt Drummond
Eastgate Foxglove Glenmore Hartland Ironbridge Jasper Kingsway Larkspur Maplewood Northfield Oakridge Palisade
Ravenna Summit Thornton Alpina Belmont Cascade Dunmore Elmwood Falkirk Greyson Hollis Ingram Jubilee Kelvin
Lorimer Marlow Newport Oberon Paragon Radnor Sedona Trident Upland Vesper Waverly Argent Brockton Camden Dorset
Everest Fulton Gideon Hadley Ivory Kendal Lomond Mercer Norwood Orion Penrose Regent Selkirk Tamar Ursa Verona
Wexford Aston Blackwell Corbin Denholm Everly Farlow"""
_FIRMS = (
    "Trading Foods Systems Group Textiles Motors Pharma Energy Partners Labs Stores Media Tools Paper Dairy".split()
)
_PLACES = "Park Point House Square Center Court Bridge Gate Hill Plaza Quay Terrace Yard Corner View".split()


def _pool(text: str) -> tuple[list[str], list[str]]:
    """Single words, and (after bars) the names of two words."""
    head, *doubles = text.split("|")
    return head.split(), [name.strip() for name in doubles if name.strip()]


_CITY, _COUNTRY = _pool(_CITIES), _pool(_COUNTRIES)


def _either(rng: Random, pool: tuple[list[str], list[str]]) -> str:
    singles, doubles = pool
    return rng.choice(doubles if doubles and rng.random() < knobs.MULTIWORD_VALUES else singles)


def draw(rng: Random, spec: str) -> str:
    """One value of a generator.

    Args:
        rng: Source of randomness.
        spec: ``@city``, ``@country``, ``@person``, ``@company [suffixes]``, ``@place``, ``@word``, ``@code XX``,
            ``@mix heads + tails``.
    """
    kind, _, rest = spec[1:].partition(" ")
    two = rng.random() < knobs.MULTIWORD_VALUES
    if kind == "city":
        return _either(rng, _CITY)
    if kind == "country":
        return _either(rng, _COUNTRY)
    if kind == "person":
        last = rng.choice(_LAST.split())
        return f"{rng.choice(_FIRST.split())} {last}" if two else last
    if kind == "code":
        return f"{rest.strip()}-{rng.randint(10, 999)}"
    if kind == "mix":
        heads, tails = (part.split() for part in rest.split("+"))
        return f"{rng.choice(heads)} {rng.choice(tails)}"
    stem = rng.choice(_STEMS.split())
    if kind == "company":
        return f"{stem} {rng.choice(rest.split() or _FIRMS)}" if two else stem
    if kind == "place":
        return f"{stem} {rng.choice(_PLACES)}" if two else stem
    return stem


def distinct(rng: Random, spec: str, n: int, taken: set[str]) -> list[str]:
    """`n` different values of a generator or of a comma-separated list, none in `taken` (which grows by them).

    A closed list gives fewer if it is short. A generator that runs dry lends a second word to a taken value.
    """
    found: list[str] = []
    if not spec.startswith("@"):
        options = [v.strip() for v in spec.split(",") if v.strip().lower() not in taken]
        singles, doubles = [v for v in options if " " not in v], [v for v in options if " " in v]
        while len(found) < n and (singles or doubles):
            source = doubles if doubles and (not singles or rng.random() < knobs.MULTIWORD_VALUES) else singles
            found.append(source.pop(rng.randrange(len(source))))
    else:
        misses = 0
        while len(found) < n:
            value = draw(rng, spec)
            if misses > 40:
                value = f"{value} {rng.choice(_LAST.split() if 'person' in spec else _PLACES)}"
            if value.lower() in taken or value in found:
                misses += 1
                continue
            found.append(value)
    taken.update(v.lower() for v in found)
    return found
