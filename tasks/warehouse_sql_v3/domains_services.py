"""Business vocabulary, second half: people, service, transport and utilities. Notation: see `vocabulary.py`."""

SERVICES = """
@ human resources
employee | worker | staff member > department (working in, employed in), office (based in, assigned to), manager \
      (led by, reporting to)
  name employee name | full name = @person
  text position | job title | role ~ working as {v} = Analyst, Engineer, Clerk, Designer, Accountant, Team Lead, \
      Office Manager
  text contract type | employment type = Permanent, Temporary, Freelance, Intern, Part Time, Fixed Term
  text education | degree = Bachelor, Master, Doctorate, Diploma, High School
  real salary | annual salary | yearly pay = 18000..98000
  real bonus | yearly bonus = 200..9000
  int vacation days | leave days | days off = 5..90
  int age | years of age = 18..70
  date hire date | hired on | start date ~ hired
department | business unit | division
  name department name | unit name = @mix Internal Global Regional Digital Field Core Group Central + Audit Payroll \
      Sales Research Legal Design Quality Supply
  text floor | building = North Wing, South Wing, Annex, Tower, Basement, Main Hall
  real budget | yearly budget = 9000..95000
  int headcount | planned positions = 3..300
  date founded on | created on ~ founded
office | workplace | company site
  name office name | site name = @place
  text country | office country ~ in {v} = @country
  text type | site type = Headquarters, Branch, Hub, Lab, Shared Space
  int desks | desk count = 8..900
  real rent | monthly rent = 900..60000
manager | supervisor | team leader
  name manager name | supervisor name = @person
  text rank | grade = Junior, Senior, Director, Vice President
  int team size | reports = 2..90
  score feedback score | leadership score = 10..100

@ support
ticket | support ticket | service request > account (opened by, raised by), agent (handled by, assigned to), \
      product (about, concerning)
  text status | ticket status | state = Open, Resolved, Escalated, Closed, Waiting, On Hold, In Progress
  text priority | urgency = Low, Medium, High, Urgent, Show Stopper
  text channel | contact channel ~ received by {v}, via {v} = Email, Phone, Chat, Portal, Walk In, Social Media
  text issue type | topic | category = Billing, Login, Outage, Refund, Delivery, Data Loss, Slow Response
  int resolution hours | hours to resolve | handling time = 1..240
  int replies | message count = 1..90
  score satisfaction | survey score = 1..100
  date created on | opened on | received on ~ opened
account | customer account | client
  name account name | company name = @company
  text plan | support plan ~ on {v} = Basic, Premium, Gold, Platinum, Free Trial
  text country | home country ~ from {v} = @country
  int seats | licensed users = 2..2000
  real yearly fee | contract value = 300..60000
  date customer since | joined on ~ joined
agent | support agent | service rep > team (working in, belonging to)
  name agent name | rep name = @person
  text language | main language ~ speaking {v} = English, German, Polish, Hindi, Spanish, Korean
  text shift | work shift ~ on the {v} shift = Early, Late, Night, Weekend, Split Day
  score rating | quality score = 10..100
  int experience months | months employed = 1..200
team | support team | service desk
  name team name | desk name = @word
  text location | site ~ in {v} = @city
  text level | support level = First Line, Second Line, Field, Expert
  int members | team size = 2..60
  real budget | monthly budget = 900..40000
product | software product | application
  name product name | app name = @word
  text platform | operating system ~ on {v} = Windows, Linux, Android, Cloud, Web, Main Frame
  text stage | release stage = Alpha, Beta, Stable, Retired, End Of Life
  real license price | price = 10..2500
  int users | active users = 50..90000

@ subscriptions
subscription | membership | recurring order > plan (on, based on), subscriber (held by, bought by), reseller (sold \
      by, arranged by)
  text status | subscription status = Active, Cancelled, Paused, Expired, Trial, Past Due, Pending Start
  text billing cycle | cycle ~ billed {v} = Monthly, Yearly, Weekly, Quarterly, Twice Yearly
  text source | signup source ~ coming from {v} = Website, Referral, Newsletter, Trade Fair, App Store
  real monthly fee | recurring fee | price = 3..400
  int seats | user seats | licenses = 1..300
  int renewals | renewal count = 1..60
  date start date | started on | activated on ~ started
plan | tariff plan | package
  name plan name | package name = @word
  text tier | plan tier = Basic, Standard, Premium, Family, Business Plus
  text support level | service level = Email, Phone, Priority, Forum, Dedicated Contact
  real list price | base price = 4..300
  int storage limit | storage = 5..4000
subscriber | member | user account
  name subscriber name | member name = @person
  text country | home country ~ in {v}, from {v} = @country
  text age group | generation = Teen, Adult, Senior, Young Adult
  int devices | device count = 1..70
  score loyalty score | engagement = 1..100
  date joined on | signup date ~ joined
reseller | sales partner | distributor
  name reseller name | partner name = @company
  text city | partner city ~ in {v} = @city
  text tier | partner level = Gold, Silver, Bronze, Newcomer, Top Seller
  score commission | commission rate = 1..40
  int clients | client count = 3..600

@ fleet
trip | journey | transport job > vehicle (made with, driven with), driver (driven by, made by), depot (starting at, \
      leaving from)
  text purpose | trip purpose = Delivery, Service, Transfer, Training, Test Drive, Client Visit
  text status | trip status = Done, Aborted, Planned, Late, Under Way
  text destination | destination city ~ to {v}, going to {v} = @city
  int distance | kilometers | trip distance = 3..900
  real fuel used | fuel | fuel volume = 2..300
  real toll cost | tolls = 1..200
  int minutes | trip duration | driving time = 5..700
  date trip date | driven on | departure date ~ driven
vehicle | truck | van > depot (parked at, stationed at)
  name plate number | license plate = @code KV
  text make | brand ~ built by {v} = Volta, Mandor, Scanor, Ivaro, Tatrix, Dafner
  text fuel type | engine type ~ running on {v} = Diesel, Electric, Hybrid, Petrol, Natural Gas
  text body | body type = Flatbed, Tanker, Box, Tipper, Cool Box, Low Loader
  int mileage | odometer = 900..90000
  real load capacity | payload = 1..40
  real purchase price | price = 9000..95000
  date bought on | purchase date ~ bought
driver | chauffeur | operator
  name driver name | full name = @person
  text license class | license = Light, Heavy, Bus, Hazmat, Long Haul
  text home city | city ~ living in {v} = @city
  score safety score | driving score = 10..100
  int years driving | experience = 1..40
  date hired on | hire date ~ hired
depot | garage | yard
  name depot name | yard name = @place
  text region | zone ~ in {v} = North, South, East, West, Harbor Side, City Center
  int bays | parking bays = 4..200
  real rent | yearly rent = 900..80000

@ clinics
appointment | consultation | patient visit > patient (made by, booked by), doctor (held by, seen by), clinic (held \
      at, booked at)
  text status | visit status = Completed, Missed, Cancelled, Booked, Walk In, Moved
  text reason | visit reason ~ for {v} = Checkup, Vaccine, Injury, Allergy, Back Pain, Blood Test, Skin Rash
  text payer | payment source ~ paid by {v} = Insurance, Private, State, Employer, Charity Fund
  int duration | minutes | visit length = 5..150
  real fee | visit fee | charge = 15..900
  int waiting minutes | waiting time = 1..120
  date visit date | seen on | appointment date ~ held
patient | clinic patient | insured person
  name patient name | full name = @person
  text blood group | blood type = APos, ANeg, BPos, BNeg, OPos, ONeg
  text city | home city ~ in {v}, living in {v} = @city
  text insurer | health plan ~ insured by {v} = Medora, Healix, Sanova, Curatis, Vitalis
  int age | patient age = 1..98
  real weight | body weight = 9..140
  date registered on | registration date ~ registered
doctor | physician | specialist > clinic (working at, based at)
  name doctor name | physician name = @person
  text specialty | medical field = Cardiology, Pediatrics, Surgery, Neurology, Oncology, Family Care, Sports Medicine
  text rank | grade = Resident, Senior, Chief, Consultant, Visiting Fellow
  int experience | years in practice = 1..45
  real hourly rate | consultation rate = 40..500
  score patient rating | review score = 10..100
clinic | medical center | practice
  name clinic name | center name = @place
  text district | area ~ in {v} = North, South, Harbor, Old Town, Hill Side, River Bank
  text owner | operator ~ run by {v} = City, Church, State, University, Private Fund
  int beds | bed count = 4..600
  real yearly budget | budget = 9000..95000

@ hotels
booking | reservation | room booking > guest (made by, paid by), hotel (made at, taken by), room (for, covering)
  text status | booking status = Confirmed, Cancelled, Tentative, No Show, Checked In, Checked Out
  text source | booking source ~ made through {v} = Website, Agency, Phone, Partner, Front Desk, Travel Fair
  text board | meal plan ~ with {v} = Breakfast, Half Board, Full Board, Room Only
  int nights | stay length | night count = 1..60
  real total price | booking value | price = 60..6000
  real deposit | prepayment = 10..900
  date arrival date | check in date | arrival ~ arriving
guest | hotel guest | traveler
  name guest name | full name = @person
  text country | home country ~ from {v} = @country
  text loyalty tier | member level = Basic, Silver, Gold, Platinum, Founders Club
  int stays | past stays = 1..90
  int points | loyalty points = 50..9000
hotel | resort | property
  name hotel name | property name = @place
  text city | hotel city ~ in {v} = @city
  text class | star class = Budget, Comfort, Superior, Luxury, Grand Luxury
  int room count | total rooms = 12..700
  score guest score | review score = 20..100
  date opened on | opening date ~ opened
room | hotel room | suite > hotel (in, belonging to)
  name room code | room label = @code RM
  text room type | category = Single, Double, Family, Penthouse, Junior Suite, Twin Bed
  text view | outlook ~ facing the {v} = Garden, Sea, Street, Mountain, Inner Court
  real nightly rate | rate | price per night = 30..900
  int size | floor area = 9..160

@ energy
reading | meter reading | usage record > meter (taken from, recorded by), site (taken at, coming from), technician \
      (taken by, checked by)
  text quality | reading quality = Actual, Estimated, Corrected, Missing, Double Checked
  text season | period = Winter, Summer, Spring, Autumn, Peak Load
  real consumption | usage | energy used = 20..9000
  real peak load | peak demand | maximum load = 1..500
  real cost | energy cost | amount billed = 5..3000
  int outage minutes | downtime = 1..400
  date reading date | read on | measured on ~ taken
meter | smart meter | energy meter > site (installed at, serving), tariff (billed under, on)
  name meter code | serial code = @code EM
  text type | meter type = Gas, Water, Heat, Electric, Solar Feed, Cold Water
  text maker | brand ~ made by {v} = Landor, Itrona, Kamstel, Elsterio, Honova
  int max load | capacity = 5..900
  real meter fee | rental fee = 1..60
  date installed on | install date ~ installed
site | supply point | premises
  name site name | location name = @place
  text city | town ~ in {v} = @city
  text usage type | building type = Office, Factory, School, Bakery, Data Center, Cold Store
  int floor area | area = 60..9000
  int occupants | people on site = 2..900
tariff | price plan | rate plan
  name tariff name | plan name = @word
  text energy source | source ~ based on {v} = Wind, Solar, Hydro, Mixed, Bio Gas
  text term | contract term = Fixed, Flexible, Yearly, Day Ahead
  real base fee | standing charge = 2..90
  real unit rate | price per unit = 1..60
technician | field technician | meter reader
  name technician name | full name = @person
  text base | home base ~ based in {v} = @city
  text team | crew = Alpha, Bravo, Delta, Night Crew
  int jobs done | visits = 5..900
  score skill score | skill level = 10..100

@ telecom
call | phone call | call record > line (made on, placed from), tower (routed through, carried by)
  text direction | call direction = Incoming, Outgoing, Internal, Call Back
  text outcome | result = Answered, Missed, Dropped, Voicemail, Busy Line
  text destination | called country ~ to {v} = @country
  int seconds | call length | duration = 5..3000
  real charge | call cost | price = 1..90
  date call date | called on ~ made
line | phone line | mobile line > plan (billed under, on), subscriber (owned by, held by)
  name line code | line number = @code LN
  text type | line type = Mobile, Landline, Data, Satellite, Home Office
  text status | line status = Active, Blocked, Ported, Closed, Not Yet Live
  real monthly bill | bill = 5..300
  int data used | data volume = 10..9000
  date activated on | activation date ~ activated
tower | cell tower | base station
  name tower code | mast code = @code TW
  text city | location ~ in {v} = @city
  text technology | network type ~ using {v} = Fiber, Radio, Microwave, Small Cell
  int height | mast height = 8..120
  int capacity | max users = 90..9000
  real rent | site rent = 200..9000
plan | tariff | mobile plan
  name plan name | tariff name = @word
  text segment | customer group = Private, Business, Youth, Senior, Public Sector
  real monthly price | base price = 4..120
  int data limit | included data = 5..900
subscriber | customer | contract holder
  name subscriber name | holder name = @person
  text city | home city ~ in {v}, living in {v} = @city
  text loyalty level | loyalty tier = Bronze, Silver, Gold, Diamond, Long Standing
  int age | holder age = 16..95
  real deposit | paid deposit = 10..900

@ airline
flight | departure | scheduled flight > aircraft (flown with, using), airport (leaving from, starting at), captain \
      (flown by, led by)
  text status | flight status = Landed, Delayed, Cancelled, Boarding, Diverted, On Time
  text destination | destination city ~ to {v}, bound for {v} = @city
  text service class | cabin class = Economy, Business, Charter, Cargo, Premium Economy
  int passengers | passenger count | travelers = 20..400
  int delay minutes | delay = 1..300
  real fuel cost | fuel bill = 500..40000
  real ticket revenue | revenue = 900..90000
  date flight date | departure date | flown on ~ flown
aircraft | plane | jet
  name tail number | registration = @code SK
  text maker | manufacturer ~ built by {v} = Avior, Boreal, Embrica, Cirrano, Tupora
  text body | aircraft type = Narrow, Wide, Regional, Freighter, Turbo Prop
  int seats | seat count = 20..500
  int flight hours | hours flown = 200..40000
  real lease cost | monthly lease = 9000..95000
  date delivered on | delivery date ~ delivered
airport | airfield | hub
  name airport name | hub name = @place
  text country | airport country ~ in {v} = @country
  text size | airport class = Small, Medium, Large, Mega Hub
  int runways | runway count = 1..60
  real landing fee | slot fee = 200..9000
captain | pilot | flight captain
  name captain name | pilot name = @person
  text base | home base ~ based in {v} = @city
  text license | license type = Commercial, Instructor, Examiner, Long Range
  int experience hours | hours in command = 300..20000
  real salary | annual pay = 30000..98000

@ real estate
lease | rental contract | tenancy > property (for, covering), tenant (signed by, held by), agent (closed by, \
      arranged by)
  text status | lease status = Active, Ended, Terminated, Draft, Notice Given, Up For Renewal
  text purpose | use | usage ~ used for {v} = Office, Retail, Storage, Living, Medical Practice, Light Industry
  text indexing | rent adjustment = Fixed, Indexed, Stepped, Turnover Based
  real monthly rent | rent | base rent = 300..20000
  real deposit | security deposit = 500..40000
  int term months | lease length = 6..240
  date start date | signed on | lease start ~ signed
property | building | rental unit
  name property name | building name = @place
  text city | town ~ in {v} = @city
  text condition | state = New, Renovated, Worn, Historic, Under Repair
  int floor area | area = 25..9000
  int floors | storeys = 1..60
  real market value | value = 20000..99000
  date built on | completion date ~ built
tenant | renter | lessee
  name tenant name | renter name = @company
  text industry | business ~ in {v} = Bakery, Clinic, Software, Fashion, Law Firm, Fitness Club
  text risk | risk class = Low, Medium, High, Watch List
  int employees | headcount = 1..900
  real arrears | open balance = 20..9000
agent | letting agent | realtor
  name agent name | realtor name = @person
  text office | agency office ~ in {v} = @city
  text specialty | focus = Housing, Retail, Land, Office Space, Holiday Homes
  int deals closed | deals = 2..300
  score rating | client rating = 10..100

@ construction
change order | site order | work package > project (belonging to, raised for), contractor (carried out by, given \
      to), inspector (checked by, signed off by)
  text status | approval status = Approved, Rejected, Pending, Billed, In Dispute, On Hold
  text trade | craft ~ for {v} = Plumbing, Roofing, Painting, Masonry, Steel Work, Dry Wall
  text cause | reason = Design, Weather, Safety, Client Wish, Site Error
  real cost | order cost | price = 90..30000
  int hours | labor hours | work hours = 2..900
  int delay days | extra days = 1..90
  date raised on | order date | issue date ~ raised
project | building project | construction project
  name project name | project title = @place
  text city | location ~ in {v} = @city
  text type | project type = Bridge, School, Housing, Hospital, Road, Power Plant, Sports Hall
  text phase | stage = Planning, Shell, Interior, Handover, Ground Work
  real budget | contract sum = 9000..98000
  int workers | crew size = 5..600
  date start date | started on ~ started
contractor | subcontractor | building firm
  name contractor name | firm name = @company Builders Construction Works
  text country | home country ~ from {v} = @country
  text license | license class = Full, Limited, Trial, Special Works
  int employees | workforce = 3..900
  score safety score | safety rating = 10..100
  real hourly rate | labor rate = 15..150
inspector | site inspector | surveyor
  name inspector name | surveyor name = @person
  text employer | authority ~ working for {v} = City, State, Insurer, Bank, Fire Brigade
  int inspections | site visits = 3..400
  real day rate | daily fee = 90..950

@ food supply
delivery | food delivery | supply run > kitchen (prepared by, coming from), outlet (going to, received by), courier \
      (brought by, driven by)
  text status | delivery status = Delivered, Late, Refused, Planned, Partly Refused, On Route
  text meal | meal type = Breakfast, Lunch, Dinner, Snack, Late Supper
  text packaging | packing ~ packed in {v} = Box, Crate, Foil, Glass, Paper Bag, Cool Bag
  int portions | meals | portion count = 5..900
  real food cost | ingredient cost | cost = 20..4000
  real delivery fee | fee = 2..90
  int transport minutes | minutes on road = 3..180
  date delivery date | delivered on ~ delivered
kitchen | central kitchen | catering kitchen
  name kitchen name | kitchen label = @place
  text city | kitchen city ~ in {v} = @city
  text cuisine | cooking style = Italian, Indian, Vegan, Nordic, Middle Eastern, Home Style
  int cooks | cook count = 2..120
  real daily cost | running cost = 90..9000
  score hygiene score | hygiene rating = 20..100
outlet | canteen | cafeteria
  name outlet name | canteen name = @word
  text operator | client type ~ run by {v} = Hospital, School, Factory, Office, Nursing Home
  text district | area ~ in {v} = North, South, Center, Harbor, Old Town, Air Park
  int seats | seat count = 10..700
  int guests | daily guests = 20..3000
courier | food courier | delivery driver
  name courier name | full name = @person
  text vehicle | vehicle type ~ using a {v} = Bike, Van, Scooter, Truck, Cargo Bike
  text shift | work shift ~ on the {v} shift = Early, Late, Night, Split Day
  int tours | tours done = 5..900
  score rating | courier rating = 10..100
  date hired on | hire date ~ hired
"""
