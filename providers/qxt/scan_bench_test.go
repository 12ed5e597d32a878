package qxt

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/setup"
	"github.com/lookupq/lookupq/providers/upstream"
)

// batchBody is a reply of n entries in the vendor's form.
func batchBody(n int, area, isp string) []byte {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,{"code":0,"reason":"Succ","result":{"res":"0","Mobile":"139%08d","Area":"%s","Init_Isp":"%s","Now_Isp":"%s"}}`,
			i, area, isp, isp)
	}
	return []byte("[" + b.String()[1:] + "]")
}

// The reply of a call is read once a number; both lines are per 1000 entries.
func BenchmarkReadReply(b *testing.B) {
	for name, body := range map[string][]byte{
		"plain":   batchBody(1000, "湖北-襄樊", "移动"),
		"escaped": batchBody(1000, `\u6e56\u5317-\u8944\u6a0a`, `\u79fb\u52a8`),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				n := 0
				if _, _, ok := readReply(body, func(*entry) { n++ }, nil); !ok || n != 1000 {
					b.Fatal("unreadable")
				}
			}
		})
	}
}

func BenchmarkEncodingJSON(b *testing.B) {
	body := batchBody(1000, "湖北-襄樊", "移动")
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		var v []struct {
			Code   json.Number
			Reason string
			Result struct {
				Res, Mobile, Area string
				Init_Isp, Now_Isp string //nolint:staticcheck // the vendor's names
			}
		}
		if err := json.Unmarshal(body, &v); err != nil || len(v) != 1000 {
			b.Fatal(err)
		}
	}
}

// BenchmarkRead is the whole way from a batch's body to its outcomes, per 1000 numbers.
func BenchmarkRead(b *testing.B) {
	p, err := New(setup.Config{})
	if err != nil {
		b.Fatal(err)
	}
	numbers := make([]providers.Number, 1000)
	for i := range numbers {
		numbers[i] = mobile(fmt.Sprintf("139%08d", i))
	}
	res := upstream.Response{Body: batchBody(1000, "湖北-襄樊", "移动")}
	b.ReportAllocs()
	for b.Loop() {
		if r := p.read(providers.Query{Numbers: numbers}, res); r.Failure != nil || r.Outcomes[999].Kind != providers.Found {
			b.Fatal(r.Failure)
		}
	}
}

func BenchmarkBatchRequest(b *testing.B) {
	numbers := make([]providers.Number, 1000)
	for i := range numbers {
		numbers[i] = mobile(fmt.Sprintf("139%08d", i))
	}
	b.ReportAllocs()
	for b.Loop() {
		batchRequest(providers.Query{Numbers: numbers})
	}
}
