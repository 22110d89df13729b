"""Words of invoice_extract: what is sold, labels of fields, trades, streets."""

from __future__ import annotations

GOODS = (
    "Copper elbow|Steel bracket|Oak shelf|Desk lamp|Office chair|Paper ream|Toner cartridge|Network cable|"
    "Patch panel|Hydraulic hose|Ball bearing|Drive belt|Air filter|Oil filter|Brake pad|Floor tile|"
    "Wall anchor|Paint roller|Safety glove|Dust mask|Ear plug box|First aid kit|Coffee beans|Tea assortment|"
    "Water canister|Cleaning cloth|Glass cleaner|Waste bag roll|Hand soap|Shipping carton|Bubble wrap roll|"
    "Pallet film|Label roll|Stretch strap|Fuse set|Relay|Cable tie pack|Switch cover|LED panel|Battery pack|"
    "Sensor head|Pressure gauge|Valve seat|Pump impeller|Gasket set|Rivet box|Drill bit|Saw blade|"
    "Sanding disc|Welding rod|Rubber mat|Door closer|Lock cylinder|Window seal|Garden hose|Seed tray|"
    "Lawn feed|Plant pot|Conference mug|Name badge|Poster print|Flyer print|Banner print|Binder|Notebook|"
    "Whiteboard marker|Monitor arm|Keyboard|Docking station|Headset|Webcam|Printer stand|Chair mat|"
    "Filing cabinet"
).split("|")
SERVICES = (
    "On-site support|Remote support|Machine hire|Forklift hire|Window cleaning|Carpet cleaning|Interpreter|"
    "Translation|Proofreading|Bookkeeping|Payroll run|Tax consultation|Site survey|Calibration|Pest control|"
    "Security patrol|Courier run|Freight handling|Storage space|Van hire|Catering|Photography|Web hosting|"
    "Domain renewal|Backup storage|Penetration test|Data migration|Training day|Workshop|Garden care"
).split("|")
MAKES = (
    "type A|type B|type C|model 30|model 45|series 2|series 3|class 2|class 3|basic|premium|second choice|"
    "set of 4|set of 10|pack of 5|pack of 25|new edition|old stock|reduced|north depot|for hall 3"
).split("|")
RATES = (
    "weekend rate|night rate|day rate|basic|premium|north depot|hall 3|first visit|second visit|follow-up|"
    "per agreement|flat fee|urgent|phase 1|phase 2"
).split("|")
TRADES = (
    "Supplies|Works|Trading|Services|Logistics|Print|Tools|Facilities|Systems|Studio|Partners|Foods|Technik|Handel"
).split("|")
FORMS = "Ltd|GmbH|Inc.|AB|B.V.|S.A.|LLC|AG|ApS|Pty Ltd".split("|")
STREETS = (
    "Mill Lane|Harbour Road|Station Street|Quarry Way|Market Square|Birch Avenue|Canal Walk|Foundry Row|"
    "Orchard Close|Depot Road"
).split("|")

NUMBER = (
    "Invoice no.|Invoice number|Invoice #|Our invoice|Document no.|Bill no.|Inv.|Rechnung / Invoice|Billing document"
).split("|")
DATE = "Date|Invoice date|Issued|Date of issue|Dated|Billed on|Document date|Tax point".split("|")
DUE = "Due|Due date|Payable by|Payment due|Please pay by|Pay no later than".split("|")
ORDER = "Your order|PO number|Purchase order|Customer order|Your reference|PO".split("|")
CUSTOMER = "Bill to|Invoice to|Customer|Billed to|Sold to|For the account of".split("|")
SUBTOTAL = "Subtotal|Net amount|Sum of items|Goods total|Net|Total excl. tax".split("|")
DISCOUNT = "Discount|Rebate|Trade discount|Less discount|Price reduction".split("|")
TAX = "VAT|Tax|Sales tax|MwSt / VAT|GST|Moms / VAT".split("|")
TOTAL = "Total|Invoice total|Gross amount|Total incl. tax|Grand total|Amount of this invoice".split("|")
PAID = "Deposit received|Prepaid|Already paid|Less down payment|Paid on account".split("|")
OPEN = "Balance due|Amount due|To pay|Open amount|Please remit".split("|")
HEADS = (
    ("Item", "Qty", "Price", "Amount"),
    ("Description", "Quantity", "Unit price", "Total"),
    ("Article", "Units", "Each", "Sum"),
    ("Position", "Number", "Rate", "Value"),
    ("Service", "Count", "per unit", "Line total"),
)
NOISE = (
    "Quote {n} of {day} is hereby settled.|Delivery note {n}, shipped {day}.|"
    "Our contact: {person}, extension {x}.|Bank account {n}{x}, reference {x}.|"
    "Goods remain ours until paid in full.|Customer since {year}.|Page 1 of 1|"
    "Registered office: {street} {x}.|Deliver to: {person}, {street} {x}.|Late payment costs {rate} % a year.|"
    "Next price list valid from {day}.|Company registration {n}.|Tax id {n}-{x}."
).split("|")
