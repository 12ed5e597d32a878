package providertest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"sync"

	"github.com/lookupq/lookupq/providers"
)

// mimic is an upstream that answers whatever numbers it is asked, in the words of
// a recorded call: each number with the entry of one of the recorded numbers. A
// deferred one remembers what was submitted under each ticket.
type mimic struct {
	c       *Case
	entries []entry // nil if the body answers one number
	// as says whose entry a number's answer is made of, by its national part.
	as map[string]int
	// arrange, if set, changes the order of a reply's entries; pageSize, if set,
	// replaces the recorded one.
	arrange  func([]entry)
	pageSize int

	digits, ticket *regexp.Regexp

	mu sync.Mutex
	// submitted has the numbers of each ticket; queries counts the questions for them.
	submitted map[string][]string
	queries   int
}

func newMimic(c *Case) (*mimic, error) {
	u := &mimic{
		c: c, as: make(map[string]int), submitted: make(map[string][]string),
		digits: regexp.MustCompile(`\d{5,}`), ticket: regexp.MustCompile(`ticket-\d{4}`),
	}
	for i, n := range c.numbers {
		u.as[n.National] = i
	}
	if c.Query != nil && c.Query.Paging != nil {
		u.pageSize = c.Query.Paging.Size
	}
	if c.answer().Entries == nil {
		return u, nil
	}
	var err error
	u.entries, err = c.entriesByNumber()
	return u, err
}

// more invents n further numbers of the same partition and says what to expect
// of each. The last digits count up, so prefix and length stay.
func (u *mimic) more(n int) ([]providers.Number, []Outcome) {
	numbers := make([]providers.Number, 0, n)
	outcomes := make([]Outcome, 0, n)
	for i := 0; len(numbers) < n; i++ {
		model := i % len(u.c.numbers)
		num := u.c.numbers[model]
		tail := fmt.Sprintf("%05d", i)
		num.National = num.National[:len(num.National)-len(tail)] + tail
		num.E164 = "+" + num.CountryCode + num.National
		if _, taken := u.as[num.National]; taken {
			continue
		}
		u.as[num.National] = model
		numbers = append(numbers, num)
		outcomes = append(outcomes, u.c.Outcomes[model])
	}
	return numbers, outcomes
}

// ServeHTTP implements http.Handler: it looks for the digits of known numbers in
// the request, wherever the provider writes them.
func (u *mimic) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	var asked []string
	for _, digits := range u.digits.FindAllString(r.URL.String()+" "+string(body), -1) {
		if national, ok := u.known(digits); ok {
			asked = append(asked, national)
		}
	}
	response := u.c.Response
	var reply []byte
	switch {
	case u.c.Query == nil:
		reply, err = u.answer(asked, nil)
	case u.c.stepOf(r) == 0:
		reply = u.submit(string(u.ticket.Find(body)), asked)
	default:
		response = u.c.Query.Response
		reply, err = u.query(string(u.ticket.Find(body)), body)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusTeapot)
		return
	}
	replayBody(response, reply).ServeHTTP(w, r)
}

// known finds a number in a run of digits that may begin with its calling code.
func (u *mimic) known(digits string) (national string, ok bool) {
	for cut := 0; cut <= 3 && cut < len(digits); cut++ {
		if _, ok = u.as[digits[cut:]]; ok {
			return digits[cut:], true
		}
	}
	return "", false
}

func (u *mimic) submit(ticket string, numbers []string) []byte {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.submitted[ticket] = numbers
	return bytes.ReplaceAll(u.c.Response.Body, []byte(ticketOf(1)), []byte(ticket))
}

func (u *mimic) query(ticket string, body []byte) ([]byte, error) {
	u.mu.Lock()
	u.queries++
	numbers := u.submitted[ticket]
	u.mu.Unlock()
	reply, err := u.answer(numbers, body)
	return bytes.ReplaceAll(reply, []byte(ticketOf(1)), []byte(ticket)), err
}

// answer is the reply with what is known of numbers, or the page of it that the
// query in body asks for.
func (u *mimic) answer(numbers []string, body []byte) ([]byte, error) {
	if u.entries == nil {
		single := u.c.answer().Body
		for _, national := range numbers {
			single = renumber(single, u.c.numbers[u.as[national]].National, national)
		}
		return single, nil
	}
	entries := make([]entry, 0, len(numbers))
	for _, national := range numbers {
		model := u.as[national]
		entries = append(entries, renumber(u.entries[model], u.c.numbers[model].National, national))
	}
	if u.arrange != nil {
		u.arrange(entries)
	}
	if u.pageSize == 0 {
		return u.c.withEntries(entries)
	}
	return u.page(entries, body)
}

func (u *mimic) page(entries []entry, query []byte) ([]byte, error) {
	paging := u.c.Query.Paging
	asked, err := valueAt(query, pointer(paging.Asked))
	if err != nil {
		return nil, err
	}
	page, err := strconv.Atoi(string(bytes.Trim(asked, `"`)))
	if err != nil || page < 1 {
		return nil, fmt.Errorf("page %s was asked for", asked)
	}
	pages := (len(entries) + u.pageSize - 1) / u.pageSize
	from := min((page-1)*u.pageSize, len(entries))
	reply, err := u.c.withEntries(entries[from:min(from+u.pageSize, len(entries))])
	for at, number := range map[string]int{paging.Page: page, paging.Pages: pages} {
		if at != "" && err == nil {
			reply, err = replaceAt(reply, pointer(at), json.RawMessage(strconv.Itoa(number)))
		}
	}
	return reply, err
}
