package simulator

import (
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// submit takes a batch.
func (c *nxCall) submit() bool {
	if code := c.refusal(); code != 0 {
		c.fail(code, "")
		return false
	}
	drURL := c.drURL()
	if drURL != "" && !loopback(drURL) {
		c.fail(201, "drUrl is not on a loopback address, where alone the simulator sends receipts")
		return false
	}
	taken, places, failed := c.sort()
	if code := c.countries(places); code != 0 {
		c.fail(code, "")
		return false
	}
	if !c.charge(len(taken)) {
		c.fail(211, "")
		return false
	}
	if c.ask.BatchNo == "" {
		c.ask.BatchNo = strconv.FormatUint(c.profile.dice(UpstreamNXCloud).hash(saltOrder, c.r.Header.Get("Sign"))%1e12, 10)
	}
	b := c.batch(taken, places, drURL)
	again, blind := c.desk.store.add(b)
	c.desk.pusher.plan(b, c.profile, c.up)
	c.paid = taken
	n := &c.profile.NXCloud
	c.silent = c.up.happens(n.LostReplies)
	c.up.ledger.note(func(d *Deferred) {
		d.Blind += blind
		if again {
			d.DuplicateBatches++
		}
		if c.silent {
			d.LostReplies++
		}
	})
	if c.up.happens(n.LateReplies.Share) {
		c.up.server.wait(n.LateReplies.Delay)
	}
	c.took(b, failed)
	return true
}

// took replies that the batch is taken.
func (c *nxCall) took(b *nxBatch, failed []string) {
	data := map[string]any{c.batchN.id(): b.id, "batchNo": b.no}
	body := map[string]any{"code": 0, "data": data, c.batchN.text(false): "Success"}
	if c.batchN != g1 {
		body["traceId"] = "trace-" + b.id
		list := make([]any, len(failed))
		for i, n := range failed {
			list[i] = map[string]string{"number": n, "reason": "Invalid number format"}
			if form := c.profile.NXCloud.FailNumber; form == "string" || form == "mixed" && i%2 == 1 {
				list[i] = n
			}
		}
		data["failNumber"] = list
	}
	c.json(http.StatusOK, body)
}

// refusal is the code about a submit that is refused as a whole; 0 if it is not.
func (c *nxCall) refusal() int {
	const parameter, checkType, longBatchNo = 201, 207, 212
	if code := c.app(); code != 0 {
		return code
	}
	level := c.level()
	switch {
	case len(c.numbers) == 0, len(c.numbers) > nxMaxBatch, slices.Contains(c.numbers, ""):
		return parameter
	case len(c.ask.BatchNo) > nxMaxBatchNo:
		return longBatchNo
	case level != levelBasic && level != levelCall && level != levelHLR:
		return checkType
	case level == levelCall && c.profile.NXCloud.Generation != "g1" && c.profile.NXCloud.Generation != "g2" && c.profile.NXCloud.Generation != "mixed":
		return checkType // the newest document has dropped it
	case slices.ContainsFunc(c.numbers, func(n string) bool { return c.profile.poisonous(UpstreamNXCloud, n) }):
		return parameter
	}
	return 0
}

func (c *nxCall) drURL() string {
	if c.ask.DrURL != "" {
		return c.ask.DrURL
	}
	k, _ := c.up.keyOf(c.key)
	return k.CallbackURL
}

// loopback reports whether receipts may go to address: nobody else may be made to
// get thousands of POSTs.
func loopback(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// sort parts the numbers into those that are taken and those that are refused at
// once, which the oldest document does not know.
func (c *nxCall) sort() (taken []string, places []place, failed []string) {
	taken = make([]string, 0, len(c.numbers))
	places = make([]place, 0, len(c.numbers))
	for _, n := range c.numbers {
		at := nxPlace(n)
		if at.country == "" && c.batchN != g1 {
			failed = append(failed, n)
			continue
		}
		taken, places = append(taken, n), append(places, at)
	}
	return taken, places, failed
}

// nxPlace is the place of a number in the vendor's form; empty if it cannot be
// checked at all.
func nxPlace(n string) place {
	const shortest, longest = 7, 15
	if !digits(n) || len(n) < shortest || len(n) > longest {
		return place{}
	}
	return placeOf("+" + n)
}

// countries is the code about the numbers' countries; 0 if there is nothing to say.
func (c *nxCall) countries(places []place) int {
	const notRecognised, noPrice = 203, 205
	oneOnly := c.profile.NXCloud.Generation == "g1"
	unpriced := c.profile.NXCloud.Unpriced
	if !oneOnly && len(unpriced) == 0 {
		return 0
	}
	first := ""
	for _, at := range places {
		switch {
		case slices.Contains(unpriced, at.country):
			return noPrice
		case !oneOnly || at.country == "":
		case first == "":
			first = at.country
		case first != at.country:
			return notRecognised
		}
	}
	return 0
}

// price of one number of a level.
func (n *NXCloud) price(level int) (amount float64, currency string) {
	currency = n.Currency
	if currency == "" {
		currency = "CNY"
	}
	amount, ok := n.Prices[level]
	if ok {
		return amount, currency
	}
	const basic, deep = 0.002, 0.01
	if level == levelBasic {
		return basic, currency
	}
	return deep, currency
}

// charge takes the price of n numbers.
func (c *nxCall) charge(n int) bool {
	price, _ := c.profile.NXCloud.price(c.level())
	return c.up.charge(c.key, price*float64(n), false)
}

// batch makes the batch with the fate of each of its numbers.
func (c *nxCall) batch(taken []string, places []place, drURL string) *nxBatch {
	n := &c.profile.NXCloud
	b := &nxBatch{
		id: c.desk.store.newID(c.profile.dice(UpstreamNXCloud)), no: c.ask.BatchNo, key: c.key,
		level: c.level(), at: time.Now(), url: drURL, items: make([]*nxItem, len(taken)),
	}
	delays := make([]time.Duration, len(taken))
	for i := range delays {
		delays[i] = n.Receipts.Base + c.up.jitter(n.Receipts.Jitter)
	}
	if n.Receipts.Order == "shuffled" {
		for i := range delays {
			delays[i] += c.up.jitter(time.Millisecond) // so that it is in no order without jitter either
		}
	} else {
		slices.Sort(delays)
	}
	for i, phone := range taken {
		item := &nxItem{batch: b, index: i + 1, phone: phone, at: places[i], ready: b.at.Add(delays[i]), code: c.profile.nxCode(b.level, phone, places[i])}
		if item.code == 0 {
			if e, ok := c.passingError(); ok {
				item.code = atoi(e.Code)
			}
		}
		item.missing = c.up.happens(c.common.Missing)
		item.lost = c.up.happens(n.Receipts.Lost)
		b.items[i] = item
	}
	return b
}

// checkNow checks one number at once.
func (c *nxCall) checkNow() bool {
	if code := c.refusal(); code != 0 {
		c.fail(code, "")
		return false
	}
	if len(c.numbers) != 1 || c.level() != levelBasic {
		c.fail(201, "One number of check level 1 only")
		return false
	}
	n := c.numbers[0]
	data := map[string]any{"requestId": c.desk.store.newID(c.profile.dice(UpstreamNXCloud)), "batchNo": c.ask.BatchNo}
	body := map[string]any{"code": 0, "message": "Success", "data": data, "traceId": "trace"}
	at := nxPlace(n)
	if at.country == "" {
		c.paid = []string{}
		data["failNumber"] = []any{map[string]string{"number": n, "reason": "Invalid number format"}}
		c.json(http.StatusOK, body)
		return true
	}
	if !c.charge(1) {
		c.fail(211, "")
		return false
	}
	facts := c.profile.nxFacts(levelBasic, n, at)
	basic := map[string]any{"phone": n, "country": facts.country, "numberType": facts.word(), "operator": facts.operator(g3)}
	if code := c.profile.nxCode(levelBasic, n, at); code != 0 {
		basic = map[string]any{"phone": n, "numberType": "invalid", "failReason": nxWording(code)}
	}
	data["basic"] = basic
	price, currency := c.profile.NXCloud.price(levelBasic)
	data["cost"] = map[string]any{"price": price, "currency": currency}
	c.json(http.StatusOK, body)
	return true
}

// queryPage tells what is known of a batch.
func (c *nxCall) queryPage() bool {
	c.paid = []string{}
	if code := c.app(); code != 0 && c.ask.AppKey != "" {
		c.fail(code, "")
		return false
	}
	now := time.Now()
	zone := time.UTC
	if c.profile.NXCloud.DateZone != "utc" {
		const china = 8 * 60 * 60
		zone = time.FixedZone("UTC+8", china)
	}
	id := c.ask.MessageID + c.ask.RequestID
	day, err := time.ParseInLocation(time.DateOnly, c.ask.Date, zone)
	switch {
	case err != nil:
		c.fail(88, "Incorrect date format [yyyy-MM-dd]")
		return false
	case c.ask.Page < 1 || c.ask.PageSize < 1 || c.ask.PageSize > nxMaxPage:
		c.fail(88, "page or pageSize is incorrect")
		return false
	case c.ask.BatchNo == "" && id == "":
		c.fail(88, "batchNo and messageId cannot be empty at the same time")
		return false
	case now.Sub(day) > (nxDays+1)*24*time.Hour:
		c.fail(88, "Only the records of 14 days can be queried")
		return false
	}
	items, _ := c.desk.store.answered(c.key, c.ask.BatchNo, id, c.ask.Phone, now)
	items = slices.DeleteFunc(items, func(i *nxItem) bool { return i.batch.at.In(zone).Format(time.DateOnly) != c.ask.Date })
	from := min((c.ask.Page-1)*c.ask.PageSize, len(items))
	result := make([]map[string]any, 0, c.ask.PageSize)
	for _, i := range items[from:min(from+c.ask.PageSize, len(items))] {
		result = append(result, c.profile.nxQueryItem(i))
	}
	c.json(http.StatusOK, map[string]any{"code": 0, c.batchN.text(true): "Request successful", "data": map[string]any{
		"page": c.ask.Page, "pageSize": c.ask.PageSize, "totalSize": len(items),
		"totalPage": (len(items) + c.ask.PageSize - 1) / c.ask.PageSize, "result": result,
	}})
	return true
}

// text is the name of the field that says how it went. Queries never changed it.
func (g generation) text(query bool) string {
	if g == g1 || query {
		return "msg"
	}
	return "message"
}

// id is the name of the field with the vendor's id.
func (g generation) id() string {
	if g == g1 {
		return "messageId"
	}
	return "requestId"
}
