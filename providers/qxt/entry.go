package qxt

import (
	"math"
	"strconv"
)

// entry is what the upstream says of one number, or of the whole call. Its bytes
// are valid until the next entry is read.
type entry struct {
	// code is 0 for success; hasCode is false if it is absent or no integer, or
	// if it says success and the result is of a type that cannot hold any.
	code    int
	hasCode bool
	reason  []byte
	result
	// raw is the entry as it came.
	raw []byte
}

// result is the inner object of an entry; a field is empty where it is absent,
// null or of a senseless type.
type result struct {
	res, mobile, area, initISP, nowISP []byte
	// balance and feeType are in the reply of the balance call.
	balance, feeType []byte
}

// empty reports whether a successful entry says nothing of its number.
func (r *result) empty() bool {
	return len(r.res) == 0 && len(r.area) == 0 && len(r.initISP) == 0 && len(r.nowISP) == 0
}

// readReply reads a whole reply: a list of entries, which answers a batch and is
// given to each, or one object, which answers a single number or refuses the
// whole call and is given to whole. Elements of a list that are no objects are
// counted as stray. It returns ok false if body is no JSON, or neither of the
// two; what each has seen by then is void.
func readReply(body []byte, each, whole func(*entry)) (list bool, stray int, ok bool) {
	s := scanner{data: body}
	var e entry
	if s.peek() == '{' {
		ok = s.entry(&e) && s.end()
		if ok {
			whole(&e)
		}
		return false, 0, ok
	}
	ok = s.array(func() bool {
		if s.peek() != '{' {
			stray++
			return s.skip()
		}
		if !s.entry(&e) {
			return false
		}
		each(&e)
		return true
	})
	return true, stray, ok && s.end()
}

// entry reads {"code":…,"reason":…,"result":{…}} with its names in any case and
// its fields in any order; a field that comes twice counts with its last value.
func (s *scanner) entry(e *entry) bool {
	*e = entry{}
	s.scratch = s.scratch[:0]
	start := s.pos
	odd := false // null and "" are the vendor's ways of saying that there is none
	ok := s.object(func(name []byte) bool {
		switch fieldOf(name) {
		case fieldCode:
			v, ok := s.scalar()
			e.code, e.hasCode = integer(v)
			return ok
		case fieldReason:
			return s.text(&e.reason)
		case fieldResult:
			e.result, odd = result{}, false
			if s.peek() == '{' {
				return s.result(&e.result)
			}
			v, ok := s.scalar()
			odd = v.kind != kindNone && len(v.text) > 0 || v.kind == kindArray
			return ok
		default:
			return s.skip()
		}
	})
	e.raw = s.data[start:s.pos]
	e.hasCode = e.hasCode && (e.code != codeSuccess || !odd)
	return ok
}

// result reads the inner object of an entry into r.
func (s *scanner) result(r *result) bool {
	return s.object(func(name []byte) bool {
		switch fieldOf(name) {
		case fieldRes:
			return s.text(&r.res)
		case fieldMobile:
			return s.text(&r.mobile)
		case fieldArea:
			return s.text(&r.area)
		case fieldInit:
			return s.text(&r.initISP)
		case fieldNow:
			return s.text(&r.nowISP)
		case fieldBalance:
			return s.text(&r.balance)
		case fieldFeeType:
			return s.text(&r.feeType)
		default:
			return s.skip()
		}
	})
}

// text reads a value of which a string or number is kept as text; other types
// are as if absent.
func (s *scanner) text(dst *[]byte) bool {
	v, ok := s.scalar()
	*dst = nil
	if v.kind == kindString || v.kind == kindNumber {
		*dst = trim(v.text)
	}
	return ok
}

// trim cuts blanks and control characters off both ends, which bytes.TrimSpace
// does too, at a third of the whole reading's cost for Chinese text.
func trim(b []byte) []byte {
	for len(b) > 0 && b[0] <= ' ' {
		b = b[1:]
	}
	for len(b) > 0 && b[len(b)-1] <= ' ' {
		b = b[:len(b)-1]
	}
	return b
}

// integer reads 0, "0", " -6 " and 0.0; false for what is no integer.
func integer(v scalar) (int, bool) {
	if v.kind != kindString && v.kind != kindNumber {
		return 0, false
	}
	if len(v.text) == 1 && v.text[0] == '0' {
		return 0, true // nearly always
	}
	text := string(trim(v.text))
	if n, err := strconv.Atoi(text); err == nil {
		return n, true
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > math.MaxInt32 {
		return 0, false
	}
	return int(f), true
}

// The names that mean something in a reply, by their letters.
const (
	fieldCode    = "code"
	fieldReason  = "reason"
	fieldResult  = "result"
	fieldRes     = "res"
	fieldMobile  = "mobile"
	fieldArea    = "area"
	fieldInit    = "initisp"
	fieldNow     = "nowisp"
	fieldBalance = "balance"
	fieldFeeType = "feetype"
)

// fieldOf is the name in lower case and without underscores: the vendor writes
// Init_isp in one call, Init_Isp in the other, and Initisp in places. The usual
// spellings are tried first, as they are.
func fieldOf(name []byte) string {
	switch string(name) {
	case "code":
		return fieldCode
	case "reason":
		return fieldReason
	case "result":
		return fieldResult
	case "res":
		return fieldRes
	case "Mobile":
		return fieldMobile
	case "Area":
		return fieldArea
	case "Init_Isp", "Init_isp":
		return fieldInit
	case "Now_Isp", "Now_isp":
		return fieldNow
	}
	return folded(name)
}

// folded is empty for names longer than any that counts.
func folded(name []byte) string {
	var letters [len(fieldFeeType)]byte
	n := 0
	for _, c := range name {
		if c == '_' {
			continue
		}
		if n == len(letters) {
			return ""
		}
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		letters[n] = c
		n++
	}
	return string(letters[:n])
}
