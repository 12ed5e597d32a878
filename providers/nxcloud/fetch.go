package nxcloud

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/lookupq/lookupq/providers"
)

const (
	pathQuery = "/api/number/query"
	pageSize  = 100
	// maxPages bounds a day's pages, twice those of the largest batch, whatever the
	// vendor says their count is.
	maxPages = 100
	// fetchRate is one question every 3 s for a key.
	fetchRate = 1.0 / 3
	// submitSlack is how far SubmittedAt may be off.
	submitSlack = 5 * time.Minute

	dateLayout = "2006-01-02"
)

// china is the zone of the query's date. The document names none; the vendor is there.
func china() *time.Location { return time.FixedZone("UTC+8", 8*60*60) }

// question is the body of a query.
type question struct {
	BatchNo  string `json:"batchNo"` //nolint:tagliatelle // the vendor's name
	Page     int    `json:"page"`
	PageSize int    `json:"pageSize"` //nolint:tagliatelle // the vendor's name
	Date     string `json:"date"`
	AppKey   string `json:"appkey,omitempty"`
}

// place is where a round of pages has got to.
type place struct {
	date string
	page int
}

// Fetch asks for a page of a batch's records. Records are filed by the day of the
// check, so a batch may have pages under two dates; the cursor is "date/page". A
// caller that counts pages and passes no cursor sees the first date only.
func (p *Provider) Fetch(ctx context.Context, f providers.Fetch) providers.Page {
	dates := p.dates(f.SubmittedAt)
	at, ok := placeOf(f, dates[0].date)
	if !ok {
		return providers.Page{Failure: &providers.Failure{Kind: providers.KindInternal, Message: "the cursor is none of ours"}}
	}
	page, total, failure := p.ask(ctx, f.Key, question{BatchNo: f.Ticket, Page: at.page, PageSize: pageSize, Date: at.date}, false)
	if failure != nil {
		return providers.Page{Failure: failure}
	}
	counts := f.Cursor == "" && f.Page > 1
	switch next, ok := after(dates, at.date, page.Known); {
	case total > at.page && len(page.Entries) > 0 && at.page < maxPages:
		page.More, page.Next = true, at.date+"/"+strconv.Itoa(at.page+1)
	case ok && !counts:
		page.More, page.Next = true, next+"/1"
	}
	return page
}

// placeOf is what f asks for.
func placeOf(f providers.Fetch, first string) (place, bool) {
	if f.Cursor == "" {
		return place{first, max(f.Page, 1)}, true
	}
	date, number, _ := strings.Cut(f.Cursor, "/")
	page, err := strconv.Atoi(number)
	if _, bad := time.Parse(dateLayout, date); bad != nil || err != nil || page < 1 {
		return place{}, false
	}
	return place{date, page}, true
}

// day is a date that records of a batch may be filed under.
type day struct {
	date string
	// last resort: only if nothing was found before.
	last bool
}

// dates are those to ask for, in order: that of the submit; those after it that
// have begun there while answers could come, as far as the vendor answers; the one
// before, where the submit was near its end, or, if nothing was found, where the
// vendor's zone may be west of China's.
func (p *Provider) dates(submitted time.Time) []day {
	submitted = submitted.In(china())
	latest := submitted.Add(p.pace.GiveUpAfter)
	if now := p.now(); now.Before(latest) {
		latest = now
	}
	date := func(t time.Time) string { return t.In(china()).Format(dateLayout) }
	first := date(submitted)
	dates := []day{{date: first}}
	for d := 1; d <= int(queryDays/(24*time.Hour)); d++ {
		next := date(submitted.AddDate(0, 0, d)) // China has no summer time
		if next > date(latest) {
			break
		}
		dates = append(dates, day{date: next})
	}
	if before := date(submitted.Add(-8 * time.Hour)); before < first {
		dates = append(dates, day{date: before, last: date(submitted.Add(-submitSlack)) == first})
	}
	return dates
}

// after is the date to ask for after the given one.
func after(dates []day, date string, known bool) (string, bool) {
	for i, d := range dates {
		if d.date != date || i+1 == len(dates) {
			continue
		}
		next := dates[i+1]
		return next.date, !next.last || !known
	}
	return "", false
}

// ask makes one query, signed again if need be and again is set. total is how many
// pages there are.
func (p *Provider) ask(ctx context.Context, key providers.Key, q question, again bool) (page providers.Page, total int, failure *providers.Failure) {
	o, failure := p.call(ctx, request{key: key, path: pathQuery, body: q, again: again, kindOf: queryKind})
	if failure != nil {
		if code, _ := o.code(); nothingThere(code, o.words()) {
			return providers.Page{}, 0, nil
		}
		return providers.Page{}, 0, failure
	}
	return readPage(o, q.BatchNo)
}

// readPage reads the list of a reply. Entries of another batch are dropped: their
// answers may be those of another level, or of a number asked again since.
func readPage(o object, ticket string) (page providers.Page, total int, failure *providers.Failure) {
	garbled := &providers.Failure{Kind: providers.KindGarbled, Message: "the reply has no list of records"}
	data, isObject := o.nested("data")
	list, isList := data.list("result")
	size, hasSize := data.int("totalSize")
	if !isObject || !isList || list == nil && !hasSize {
		return providers.Page{}, 0, garbled
	}
	foreign := 0
	for _, raw := range list {
		entry, _ := readObject(raw)
		if batchNo := entry.word("batchNo"); batchNo != "" && batchNo != ticket {
			foreign++
			continue
		}
		page.Entries = append(page.Entries, raw)
	}
	page.Known = len(page.Entries) > 0 || size > 0 && foreign == 0
	total, ok := data.int("totalPage")
	if !ok && len(list) >= pageSize {
		total = maxPages // until a page is not full
	}
	return page, total, nil
}
