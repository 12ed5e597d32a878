package jobs

import "errors"

// minItem is the size of a short item, {"number":"13972565391"} and a comma: how
// many items can be in what is left of a body.
const minItem = 25

// What is wrong with single items, in the error of their results.
const (
	noItem     = "an item must be an object"
	noNumber   = "number is missing"
	badNumber  = "number must be a string or a whole number"
	longNumber = "number is longer than 256 bytes"
	badRef     = "ref must be a string or a whole number"
	longRef    = "ref is longer than 256 bytes"
	twice      = "number or ref is given twice"
)

func (d *jobDecoder) items() {
	if d.peek() != '[' {
		d.skip()
		d.blame(errors.New("items must be an array"))
		return
	}
	list := make([]Item, 0, min(MaxItems, 1+(len(d.raw)-d.pos)/minItem))
	first := true
	for d.open('['); d.more(']', &first); {
		d.count++
		if d.count > maxListed {
			list = nil
			d.skip()
			continue
		}
		list = append(list, d.item())
	}
	d.job.Items = list
}

func (d *jobDecoder) item() (it Item) {
	if d.peek() != '{' {
		d.skip()
		return Item{Fault: noItem}
	}
	var seen fieldSet
	first := true
	for d.open('{'); d.more('}', &first); {
		switch d.name() {
		case "number":
			if seen.twice(fieldNumber) {
				it.blame(twice)
			}
			d.number(&it)
		case "ref":
			if seen.twice(fieldRef) {
				it.blame(twice)
			}
			d.ref(&it)
		default:
			d.skip()
		}
	}
	if it.Number == "" && seen&(1<<fieldNumber) == 0 {
		it.blame(noNumber)
	}
	return it
}

// blame keeps the first fault.
func (it *Item) blame(fault string) {
	if it.Fault == "" {
		it.Fault = fault
	}
}

func (d *jobDecoder) number(it *Item) {
	switch c := d.peek(); {
	case c == '"':
		it.Number = d.str()
	case c == 'n':
		d.skip()
		it.blame(noNumber)
	case c == '-' || !isDigit(c):
		d.skip()
		it.blame(badNumber)
	default:
		from := d.pos
		if !d.integer() {
			it.blame(badNumber)
			return
		}
		it.Number = d.text[from:d.pos]
	}
	if len(it.Number) > maxNumber {
		it.Number = truncate(it.Number, maxNumber)
		it.blame(longNumber)
	}
}

func (d *jobDecoder) ref(it *Item) {
	c := d.peek()
	from := d.pos
	var size int
	switch {
	case c == 'n':
		d.skip()
		return
	case c == '"':
		size = len(d.str())
	case c == '-' || isDigit(c):
		if !d.integer() {
			it.blame(badRef)
			return
		}
		size = d.pos - from
	default:
		d.skip()
		it.blame(badRef)
		return
	}
	if size > MaxRef {
		it.blame(longRef)
		return
	}
	it.Ref = d.raw[from:d.pos:d.pos]
}

// truncate cuts s to at most n bytes, at the end of a character.
func truncate(s string, n int) string {
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n]
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
