"""Business vocabulary, first half: trade, goods and money. The notation is explained in `vocabulary.py`."""

TRADE = """
@ sales
order | sales order | purchase > customer (placed by, received from), product (covering, made for), store (taken \
      in, booked at)
  text status | order status | state = Shipped, Pending, Cancelled, Returned, Backordered, Delivered, On Hold, \
      Partly Shipped
  text channel | sales channel ~ through {v}, sold via {v} = Web, Phone, Marketplace, Wholesale, Partner Portal, \
      Field Sales
  text payment method | payment type ~ paid by {v} = Card, Transfer, Cash, Cheque, Direct Debit, Gift Voucher
  text priority | urgency = Low, Normal, High, Rush
  int quantity | units ordered | units = 1..90
  real amount | order total | order value = 40..9000
  real discount | rebate | price reduction = 1..400
  real freight | freight cost | shipping fee = 5..600
  date order date | ordered on ~ placed
customer | client | buyer
  name customer name | company name = @company
  text region | sales region | territory ~ in {v}, from {v} = EMEA, APAC, Nordics, Iberia, Benelux, Balkans, North \
      America, Latin America
  text segment | customer segment | market segment = Enterprise, Retail, Government, Reseller, Small Business, Mid \
      Market
  text city | home city ~ in {v}, based in {v} = @city
  real credit limit | credit line = 500..90000
  score satisfaction | satisfaction score = 1..100
  date joined on | signup date | customer since ~ signed up
product | article | sku
  name product name | article name | item title = @mix Steel Copper Oak Nylon Bamboo Ceramic Carbon Marble + \
      Bracket Shelf Lamp Stool Kettle Hinge Mirror Bench
  text category | product line | product family = Lighting, Kitchen, Garden, Hardware, Textiles, Office Supplies, \
      Power Tools
  text brand | maker ~ made by {v} = Vantor, Helmig, Ostara, Quillon, Brevia, Nordal, Tessary
  real list price | unit price | price = 3..900
  int stock level | units on hand = 5..4000
  real unit weight | weight = 1..80
store | shop | outlet
  name store name | shop name = @place
  text city | town ~ in {v} = @city
  text format | store format = Flagship, Express, Outlet, Kiosk, Department Store, Pop Up
  int floor area | sales area = 60..5000
  int staff count | team size = 3..120
  date opened on | opening date ~ opened

@ billing
invoice | bill | sales invoice > client (billed to, sent to), contract (issued under, raised for), clerk (issued \
      by, handled by)
  text status | invoice status | payment status = Paid, Overdue, Draft, Disputed, Void, Partly Paid, Written Off
  text currency | billing currency ~ in {v} = EUR, USD, GBP, SEK, CHF, JPY
  text terms | payment terms = Prepaid, Net30, Net60, Monthly, End Quarter
  real amount due | invoice amount | total = 60..20000
  real tax | tax amount | vat = 5..4000
  int reminder count | reminders = 1..60
  date issue date | invoiced on | billing date ~ issued
client | account | payer
  name client name | account name = @company
  text industry | sector | line of business ~ in {v} = Mining, Media, Retail, Energy, Farming, Food Service, Public \
      Sector
  text country | home country ~ in {v}, from {v} = @country
  text rating | credit rating = AAA, AA, BBB, BB, CCC
  real balance | open balance = 100..60000
  int employees | headcount = 5..3000
contract | service contract | agreement > client (signed by, held by)
  name contract code | agreement code = @code CT
  text service | service type = Hosting, Cleaning, Audit, Catering, Security, Legal Advice, Site Upkeep
  text renewal | renewal mode = Automatic, Manual, Expired, On Request
  real monthly fee | fee = 80..7000
  int duration months | term months = 3..96
  date start date | signed on ~ signed
clerk | billing clerk | accountant
  name clerk name | full name = @person
  text office | location ~ in {v} = @city
  text grade | job grade = Junior, Senior, Lead, Trainee
  int years employed | tenure = 1..45
  real hourly rate | wage = 12..95

@ shipping
shipment | consignment | delivery > carrier (carried by, hauled by), warehouse (sent from, leaving), customer (sent \
      to, bound for)
  text status | shipment status | delivery status = Delivered, Delayed, Lost, Loading, Customs, In Transit, Held Back
  text mode | transport mode | shipping mode ~ by {v} = Air, Road, Rail, Sea, Inland Barge, Courier Bike
  text origin | origin city ~ leaving {v}, out of {v} = @city
  text priority | service level = Standard, Express, Economy, Same Day, Next Day
  real freight cost | freight | haulage cost = 30..6000
  real gross weight | weight = 2..3000
  int parcels | parcel count | packages = 1..80
  int distance | route length = 20..4000
  date ship date | shipped on | dispatch date ~ shipped
carrier | haulier | freight company
  name carrier name | company = @company Freight Cargo Lines Haulage Logistics Express
  text country | registered country ~ from {v} = @country
  text tier | partner tier = Gold, Silver, Bronze, On Trial
  score punctuality | on time rate = 40..100
  int trucks | fleet size = 3..900
  date partner since | contract date ~ contracted
warehouse | depot | distribution center
  name warehouse name | depot name = @place
  text city | town ~ in {v} = @city
  text kind | storage type = Cold, Dry, Bonded, Bulk, High Bay, Cross Dock
  int capacity | pallet capacity = 200..20000
  int docks | dock count = 2..60
  real rent | monthly rent = 900..50000
customer | consignee | receiver
  name customer name | receiver name = @company
  text segment | trade = Pharma, Food, Fashion, Automotive, Home Goods, Heavy Industry
  text country | destination country ~ in {v} = @country
  int sites | branch count = 1..70
  real credit limit | credit = 800..40000

@ procurement
purchase order | supply order | procurement order > supplier (placed with, sent to), buyer (raised by, approved \
      by), material (covering, for)
  text status | order status | approval status = Approved, Rejected, Received, Draft, Closed, Awaiting Budget, \
      Under Review
  text category | spend category = Raw Material, Services, Packaging, Tooling, Travel, Spare Parts
  text plant | receiving plant ~ delivered to {v} = @city
  real total cost | order cost | spend = 90..30000
  int quantity | order quantity | units = 2..900
  int lead time | delivery days = 1..120
  date order date | raised on | request date ~ raised
supplier | vendor | manufacturer
  name supplier name | vendor name = @company
  text country | supplier country ~ in {v}, from {v} = @country
  text certification | quality label = ISO, FairTrade, Organic, Basic, Not Certified
  text risk | risk class = Low, Medium, High, Critical
  score quality score | quality rating = 20..100
  int employees | workforce = 5..5000
  real annual revenue | turnover = 1000..90000
buyer | purchaser | requester
  name buyer name | full name = @person
  text department | business unit ~ from {v} = Finance, Research, Legal, Kitchen, Workshop, Field Service, Site Care
  text office | office city ~ in {v} = @city
  real approval limit | spending limit = 500..80000
  int years employed | seniority = 1..40
material | raw material | component
  name material name | component name = @mix Copper Nylon Rubber Zinc Glass Carbon Acetate Brass + Wire Sheet Tube \
      Pellet Coil Foil Rod Plate
  text group | material group = Metals, Plastics, Chemicals, Paper, Electronics, Fine Chemicals
  text unit | unit of measure = Kilo, Meter, Piece, Liter, Full Pallet
  real standard cost | unit cost = 2..700
  int reorder point | minimum stock = 10..2500

@ stock
stock movement | stock transfer | inventory move > item (of, concerning), shop (booked in, arriving at), planner \
      (ordered by, planned by)
  text reason | move reason = Sale, Return, Damage, Theft, Restock, Stock Count, Recall
  text shift | work shift ~ during the {v} shift = Morning, Evening, Night, Weekend
  int units moved | pieces | quantity = 1..400
  real stock value | value | cost value = 10..7000
  int handling minutes | handling time = 2..180
  date move date | moved on | booking date ~ moved
item | stock item | retail product
  name item name | label = @mix Linen Cotton Velvet Silk Denim Wool Suede Canvas + Shirt Skirt Coat Scarf Towel Bag \
      Belt Cap
  text department | assortment ~ from {v} = Menswear, Homeware, Toys, Sports, Beauty, Ladies Wear, Baby Care
  text season | collection = Spring, Summer, Autumn, Winter, All Year
  text color | shade = Red, Navy, Olive, Beige, Black, Sky Blue, Off White
  real retail price | sale price | price = 4..400
  real purchase price | cost = 2..200
  int shelf life | days on shelf = 10..900
shop | branch store | outlet
  name shop name | outlet name = @place
  text city | town ~ in {v} = @city
  text country | market ~ in {v} = @country
  int floor space | sales area = 50..4000
  int visitors | daily visitors = 40..9000
  date opening date | opened on ~ opened
planner | stock planner | merchandiser
  name planner name | full name = @person
  text team | planning team = Core, Fashion, Seasonal, Outlet, New Lines
  int years employed | experience = 1..38
  real bonus | yearly bonus = 200..9000

@ manufacturing
work order | production order | job order > machine (run on, made on), plant (made in, run at), part (producing, \
      making)
  text status | job status | order status = Planned, Running, Finished, Scrapped, Paused, In Rework, Ready To Ship
  text shift | work shift ~ during the {v} shift = Early, Late, Night, Weekend
  int units made | output | good units = 5..3000
  int scrap | scrap units | rejects = 1..150
  real material cost | job cost | cost = 40..12000
  int run minutes | run time | machine time = 10..2000
  date start date | started on | production date ~ started
machine | equipment | press > plant (standing in, installed at)
  name machine code | equipment code = @code MX
  text type | machine type = Lathe, Mill, Welder, Robot, Laser Cutter, Paint Booth
  text maker | brand ~ built by {v} = Torvik, Hessler, Amada, Kuron, Delmar, Brevik
  score efficiency | uptime = 30..100
  int power rating | power = 2..400
  real maintenance cost | upkeep = 100..15000
  date installed on | install date ~ installed
plant | factory | production site
  name plant name | site name = @place
  text country | plant country ~ in {v} = @country
  text sector | industry = Automotive, Aerospace, Furniture, Textiles, Medical Devices, Food Products
  int workers | headcount = 40..4000
  real energy bill | energy cost = 900..70000
part | component | product
  name part name | component name = @mix Drive Valve Rotor Piston Clutch Brake Fuel Pump + Housing Seal Shaft Ring \
      Cover Plate Pin Gear
  text material | alloy ~ made of {v} = Steel, Brass, Titanium, Nylon, Cast Iron, Carbon Fiber
  text grade | quality grade = Basic, Premium, Medical, Military, Export Grade
  real unit cost | cost price = 1..600
  real part weight | weight = 1..90

@ banking
transaction | transfer | bank transaction > account (booked on, made from), branch (made at, handled by)
  text kind | transaction type | category = Deposit, Withdrawal, Fee, Salary, Refund, Card Payment, Standing Order
  text channel | entry channel ~ through {v} = Mobile, Counter, Online, Terminal, Call Center
  text status | booking status = Settled, Blocked, Reversed, Open, Under Review
  real amount | transaction amount | booked amount = 5..9000
  real fee | service fee | charge = 1..90
  date booking date | booked on | value date ~ booked
loan | credit | mortgage > customer (granted to, taken by), branch (granted by, sold at), advisor (advised by, \
      arranged by)
  text purpose | loan purpose ~ for {v} = Housing, Vehicle, Studies, Travel, Home Repair, Small Business
  text status | loan status = Active, Defaulted, Repaid, Frozen, In Arrears
  real principal | loan amount | amount = 900..90000
  score interest rate | rate = 1..19
  int term months | duration = 6..360
  date granted on | start date | approval date ~ granted
account | bank account | deposit account > customer (held by, owned by), branch (kept at, opened at)
  name account number | account code = @code AC
  text type | account type = Savings, Checking, Business, Youth, Joint Account, Fixed Term
  text currency | account currency ~ in {v} = EUR, USD, GBP, NOK, PLN
  real balance | current balance = 10..60000
  int cards | card count = 1..60
  date opened on | opening date ~ opened
customer | account holder | client
  name customer name | holder name = @person
  text segment | client segment = Private, Student, Corporate, Premium, Self Employed
  text city | home city ~ in {v}, living in {v} = @city
  int age | customer age = 18..95
  real yearly income | income = 9000..90000
branch | bank branch | office
  name branch name | office name = @place
  text region | district ~ in {v} = North, South, Coast, Capital, Lake District, Far East
  int employees | staff | headcount = 3..150
  real rent | yearly rent = 4000..90000
  date opening date | opened in ~ opened
advisor | bank advisor | loan officer
  name advisor name | officer name = @person
  text level | career level = Junior, Senior, Partner, Trainee
  score rating | client rating = 10..100
  int clients | client count = 5..400

@ insurance
claim | insurance claim | loss report > policy (filed under, made on), adjuster (settled by, assessed by), customer \
      (filed by, made by)
  text status | claim status | decision = Open, Settled, Denied, Appealed, Closed, Under Review, Awaiting Papers
  text cause | loss cause | damage type ~ caused by {v} = Fire, Flood, Theft, Storm, Collision, Water Leak, Broken \
      Glass
  text severity | severity class = Minor, Moderate, Major, Total Loss
  real claim amount | claimed amount | loss = 90..40000
  real paid amount | payout | settlement = 50..30000
  int processing days | days open = 1..300
  date claim date | filed on | reported on ~ filed
policy | insurance policy | cover > customer (held by, sold to), broker (sold by, arranged by)
  name policy number | policy code = @code PL
  text product | policy type | cover type = Auto, Home, Travel, Life, Liability, Legal Cover, Pet Health
  text status | policy status = Active, Lapsed, Renewed, Suspended, Newly Issued
  real premium | yearly premium | annual premium = 60..6000
  real deductible | own share = 20..2500
  date start date | inception date | effective from ~ started
adjuster | claims adjuster | assessor
  name adjuster name | assessor name = @person
  text specialty | field = Motor, Property, Marine, Medical, Building Damage
  text office | office city ~ in {v} = @city
  int caseload | open cases = 2..150
  score accuracy | audit score = 30..100
customer | policyholder | insured party
  name customer name | holder name = @person
  text city | home city ~ in {v}, living in {v} = @city
  text risk class | risk group = Low, Medium, High, Very High
  int age | holder age = 18..95
  real yearly income | income = 9000..90000
broker | agency | sales partner
  name broker name | agency name = @company Partners Brokers Group Advisors
  text region | territory ~ in {v} = North, South, Coast, Inland, Capital Area
  score commission rate | commission = 1..30
  int agents | team size = 1..90

@ marketing
campaign | promotion | ad campaign > channel (run on, shown on), agency (designed by, run by), brand (promoting, \
      made for)
  text goal | objective | campaign goal ~ aimed at {v} = Awareness, Traffic, Signups, Sales, Loyalty, App Installs, \
      Store Visits
  text status | campaign status = Live, Paused, Ended, Planned, In Review
  text audience | target group ~ aimed at {v} = Students, Parents, Retirees, Gamers, Commuters, New Movers, Home \
      Owners
  real budget | planned budget | media budget = 500..60000
  real spend | actual spend | cost = 300..50000
  int clicks | click count = 50..9000
  int leads | new leads | lead count = 2..700
  date launch date | launched on ~ launched
channel | media channel | medium
  name channel name | medium name = @mix Video Radio Search Social Podcast Banner Print Street + Network Feed Panel \
      Stream Spot Board Page Wall
  text kind | channel type = Digital, Broadcast, Outdoor, Press, Word Of Mouth
  real click price | contact price = 1..60
  int reach | weekly reach = 500..90000
agency | creative agency | media partner
  name agency name | partner name = @company Studio Media Creative Labs
  text city | office city ~ in {v}, from {v} = @city
  text specialty | focus = Design, Research, Events, Film, Search Ads, Public Relations
  score rating | client rating = 10..100
  int employees | team size = 3..500
brand | product brand | label
  name brand name | label name = @word
  text sector | market ~ in {v} = Snacks, Drinks, Cosmetics, Apparel, Pet Food, Home Care
  text country | home country ~ from {v} = @country
  real yearly sales | revenue = 900..90000
  date founded on | founding date ~ founded
"""
