package simulator

import (
	"maps"
	"strings"
)

// nxReceipt is what is pushed about a number, in the words of its generation.
func (p *Profile) nxReceipt(i *nxItem) map[string]any {
	g := p.nxGeneration(i.phone, i.batch.level)
	r := map[string]any{g.id(): i.id(), "code": i.code, g.text(false): nxWording(i.code), "batchNo": i.batch.no, "phone": i.phone}
	price, currency := p.NXCloud.price(i.batch.level)
	cost := map[string]any{"price": price, "currency": currency}
	if i.code != 0 {
		if g != g1 { // the newer documents' sample of a failure has a cost, and data null
			r["data"], r["cost"] = nil, cost
		}
		return r
	}
	r["cost"] = cost
	f := p.nxFacts(i.batch.level, i.phone, i.at)
	if g == g1 {
		r["data"] = f.nested(i.batch.level)
	} else {
		r["data"] = f.flat(g, i.batch.level)
	}
	return r
}

// basic is the part that every answer of the oldest document has.
func (f *nxFacts) basic() map[string]any {
	return map[string]any{
		"preCheck": "YES", "regionCode": f.country, "countryCode": f.code, "nationalNumber": strings.TrimPrefix(f.phone, f.code),
		"standNumber": f.phone, "numberType": f.kind, "carrier": f.operator(g1),
	}
}

func (f *nxFacts) nested(level int) map[string]any {
	data := map[string]any{"basic": f.basic()}
	switch level {
	case levelHLR:
		data["live"] = map[string]any{"validity": f.validity, "reachable": f.reachable, "roaming": f.roaming}
	case levelCall:
		data["dial"] = map[string]any{"early": f.ring, "answered": f.answer, "response": f.response}
	}
	return data
}

func (f *nxFacts) flat(g generation, level int) map[string]any {
	data := map[string]any{"country": f.country, "numberType": f.word(), "operator": f.operator(g)}
	say := strings.ToUpper
	if g == g2 {
		say = strings.ToLower
	}
	if f.invalid {
		return data
	}
	switch level {
	case levelHLR:
		data["mcc"], data["mnc"], data["ported"], data["active"] = f.mcc, f.mnc, say(yesNo(f.ported)), say(f.active())
	case levelCall:
		data["ring"], data["answer"] = say(f.ring), say(f.answer)
		// Two drafts of one autumn call it differently.
		name := "response"
		if f.phone != "" && (f.phone[len(f.phone)-1]-'0')%2 == 1 {
			name = "responseStatus"
		}
		data[name] = f.response
	}
	return data
}

func yesNo(b bool) string {
	if b {
		return "YES"
	}
	return "NO"
}

// nxQueryItem is an entry of a query's reply: flat in every generation.
func (p *Profile) nxQueryItem(i *nxItem) map[string]any {
	level := i.batch.level
	g := p.nxGeneration(i.phone, level)
	price, currency := p.NXCloud.price(level)
	r := map[string]any{g.id(): i.id(), "batchNo": i.batch.no, "phone": i.phone, "checkLevel": level, "price": price, "currency": currency}
	if i.code != 0 || g != g1 {
		r["code"], r[g.text(false)] = i.code, nxWording(i.code)
	}
	f := p.nxFacts(level, i.phone, i.at)
	if g != g1 {
		if i.code == 0 {
			maps.Copy(r, f.flat(g, level))
		}
		return r
	}
	if i.code != 0 {
		f = nxFacts{phone: i.phone}
	}
	maps.Copy(r, f.basic())
	if i.code != 0 {
		r["preCheck"] = yesNo(i.code != nxBadFormat)
	}
	// What a level does not ask for is an empty string, not absent.
	r["validity"], r["reachable"], r["roaming"] = f.validity, f.reachable, f.roaming
	r["early"], r["answered"], r["response"] = f.ring, f.answer, f.response
	return r
}
