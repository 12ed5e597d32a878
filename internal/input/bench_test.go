package input

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

// export is a CSV export of n rows.
func export(n int) []byte {
	var b bytes.Buffer
	b.WriteString("id;name;phone;country;note\n")
	for i := range n {
		fmt.Fprintf(&b, "C-%07d;Customer %d;+8613%09d;CN;x\n", i, i, i*7919%1_000_000_000)
	}
	return b.Bytes()
}

// BenchmarkReader reads, parses and judges rows; the sub-benchmark of
// encoding/csv only cuts them, for comparison.
func BenchmarkReader(b *testing.B) {
	const rows = 100_000
	data := export(rows)
	b.Run("input", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			r, err := Open(bytes.NewReader(data), Options{})
			require.NoError(b, err)
			var row Row
			n := 0
			for ; err == nil; err = r.Next(&row) {
				n++
			}
			require.ErrorIs(b, err, io.EOF)
			require.Equal(b, rows, n-1)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
	})
	b.Run("encoding/csv", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			r := csv.NewReader(bytes.NewReader(data))
			r.Comma, r.ReuseRecord = ';', true
			for {
				if _, err := r.Read(); errors.Is(err, io.EOF) {
					break
				}
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
	})
}
