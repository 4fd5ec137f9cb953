"""Why a plan has the options that it has: what the neighbours on the hull would change."""

from __future__ import annotations

from asim_fx.exploration.knapsack import Item
from asim_fx.exploration.options import Option
from asim_fx.exploration.reasons import Neighbours, neighbours, reasons

OPTIONS = [Option(4), Option(2), Option(1)]
MENUS = [
    [Item(10, 8), Item(20, 4), Item(40, 1)],
    [Item(100, 30), Item(200, 10), Item(500, 4)],
    [Item(1, 0.5), Item(2, 0.25), Item(4, 0)],
]


def test_neighbours_lie_on_the_hull() -> None:
    menu = [Item(1, 9), Item(2, 8.9), Item(3, 3), Item(4, 9), Item(5, 1)]
    assert neighbours(menu, 2) == Neighbours(menu[2], menu[0], menu[4])
    assert neighbours(menu, 0) == Neighbours(menu[0], None, menu[2])
    assert neighbours(menu, 4) == Neighbours(menu[4], menu[2], None)
    assert neighbours(menu, 3) == Neighbours(menu[3], menu[2], menu[4])  # not itself on the hull


def test_sites_of_one_option_are_summed_up() -> None:
    why = reasons(MENUS, (1, 1, 2), OPTIONS, "conversions")
    assert why[OPTIONS[1]] == (
        "2 sites, 20 to 200 conversions each, 100% of the predicted damage. "
        "The next cheaper option would do 2 to 3 times the damage. "
        "The next dearer option would cost 20 to 300 conversions more for 60% to 75% less damage."
    )
    assert why[OPTIONS[2]] == (
        "1 site, 4 conversions, 0% of the predicted damage. "
        "The next cheaper option would do more damage than none. No option does less damage."
    )


def test_the_ends_of_the_list_are_said() -> None:
    why = reasons(MENUS, (0, 0, 0), OPTIONS, "conversions")[OPTIONS[0]]
    assert "No cheaper option was offered" in why
    assert "1 to 100 conversions more" in why


def test_sites_without_a_neighbour_are_counted() -> None:
    menus = [MENUS[0], [Item(7, 3), Item(9, 5), Item(8, 4)]]
    why = reasons(menus, (0, 0), OPTIONS, "conversions")[OPTIONS[0]]
    assert "(at 1 of the 2 sites; the others have none)" in why
