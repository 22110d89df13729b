"""Case files and instructions of enterprise_arena. The last of a bank is for the test split's unseen companies."""

from __future__ import annotations

PRODUCTS = (
    "pump|conveyor|press|oven|lift|scanner|crane|mixer|boiler|turbine|robot arm|freezer|lathe|kiln|generator|"
    "loader|sorter|coating line|wind tunnel|cold store|packing line|printing unit|dosing unit|test bench|"
    "filter plant|weighing cell"
).split("|")
CAUSES = (
    "a cracked casting|a missing customs form|a strike at the port|a wrong drawing|a failed leak test|"
    "a software fault|late steel|a mix-up of two orders|a flooded hall|a broken mould|an expired permit|"
    "a short circuit|an insolvency|a recalled bearing"
).split("|")
FIXES = (
    "a night shift was added|a second forwarder was hired|the part was made in house|the test was repeated|"
    "a spare unit is sent|the drawing was corrected|overtime was agreed|an engineer travels along|"
    "the permit was renewed|the hall was cleared"
).split("|")
NOISE = (
    "{who} asked whether the canteen is open on the visit.|The old contact, {who}, has left the customer.|"
    "A brochure was sent on {day}.|The customer's fiscal year ends in {month}.|"
    "{who} is on leave until {day}.|Colour as ordered: RAL {n}.|The customer is a member of our user group.|"
    "Weight of the unit: {n} kg.|Parking pass {n} was issued."
).split("|")
KINDS = ("reply", "note", "points", "press")
"""What is to be written; the last is for unseen companies."""
ASKS = {
    "reply": (
        "Write to {who}: say when the {product} arrives and how much credit they get.",
        "Answer {who} with the present delivery day of the {product} and the sum credited.",
        "{who} wants to know the day on which the {product} comes and the credit in euros. Write the mail.",
    ),
    "note": (
        "Write a handover note for a colleague with the case number, the present delivery day and the cause.",
        "Sum the case up for whoever takes over: its number, the cause and the day of delivery that now holds.",
        "Your shift ends. Leave a note with case number, cause and the delivery day as it stands.",
    ),
    "points": (
        'Give the board exactly 3 points, each on a line that starts with "- ": the present delivery day, '
        "the credit and what was done.",
        'In exactly 3 points (lines that start with "- ") tell the management the credit, the measure '
        "taken and the delivery day that holds.",
        'The board reads exactly 3 points on lines that start with "- ": measure, credit, present delivery day.',
    ),
    "press": (
        "Draft a statement for the trade press with the product, the cause and the delivery day that now holds.",
    ),
}
OPENINGS = ("Dear {last}", "Hello {last}", "Case {case}", "Status of {case}", "{product} {case}")
CLOSINGS = ("Kind regards, {me}", "Yours, {me}", "{me}, service desk", "On behalf of the team, {me}")
