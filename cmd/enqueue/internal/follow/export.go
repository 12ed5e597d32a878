package follow

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/lookupq/lookupq/cmd/enqueue/internal/sheet"
	"github.com/lookupq/lookupq/results"
)

// Columns are the columns of a CSV export. They are stable: new ones are added at
// the end, none is renamed or moved. id is the result's id. valid, ported and
// portable are true, false or empty; lists are separated by blanks; times are RFC
// 3339 in UTC.
func Columns() []string {
	return []string{
		"ref", "number", "e164", "status", "country", "area", "line_type", "valid", "ported",
		"original_carrier_id", "original_carrier", "current_carrier_id", "current_carrier", "time_zones",
		"provider", "source", "answered_at", "cost", "currency", "attempts", "error_code", "error_message", "provider_code", "id",
		"ported_at", "portable", "fast_portable", "not_portable_reason", "mcc", "mnc",
		"reachable", "roaming", "ringing", "answered", "call_response",
		"porting_order_id", "porting_order_status", "porting_activation_status", "porting_foc_at", "porting_exceptions",
	}
}

// Format is how results are written.
type Format uint8

// The formats of an export.
const (
	CSV    Format = iota
	NDJSON        // one result of the contract a line
)

// FormatOf tells the format from a file's name.
func FormatOf(path string) (Format, error) {
	switch {
	case strings.HasSuffix(path, ".csv"):
		return CSV, nil
	case strings.HasSuffix(path, ".ndjson"), strings.HasSuffix(path, ".jsonl"):
		return NDJSON, nil
	}
	return 0, fmt.Errorf("%s: name the file .csv or .ndjson", path)
}

// Exporter writes results, one at a time, in constant memory.
type Exporter struct {
	format Format
	buf    *bufio.Writer
	csv    *csv.Writer
	file   io.Closer
	row    []string
	line   []byte
	// Written is how many results were written.
	Written int64
}

// NewExporter writes to w, the header of a CSV file at once. Close flushes.
func NewExporter(w io.Writer, format Format) (*Exporter, error) {
	e := &Exporter{format: format, buf: bufio.NewWriterSize(w, 64<<10)}
	if format == CSV {
		e.csv = csv.NewWriter(e.buf)
		if err := e.csv.Write(Columns()); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// CreateExporter creates the file, or empties it; its name tells the format.
func CreateExporter(path string) (*Exporter, error) {
	format, err := FormatOf(path)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600) //nolint:gosec // the user names the file; phone numbers are for the owner only
	if err != nil {
		return nil, err
	}
	e, err := NewExporter(f, format)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	e.file = f
	return e, nil
}

// Close writes what is left.
func (e *Exporter) Close() error {
	var errs []error
	if e.csv != nil {
		e.csv.Flush()
		errs = append(errs, e.csv.Error())
	}
	errs = append(errs, e.buf.Flush())
	if e.file != nil {
		errs = append(errs, e.file.Close())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("writing the results: %w", err)
	}
	return nil
}

// Part writes a part's results, only those of one status if it is not empty, and
// counts all of them in d, if not nil.
func (e *Exporter) Part(p *results.Part, d *Details, status results.Status) error {
	for i := range p.Results {
		r := &p.Results[i]
		if d != nil {
			d.AddResult(r)
		}
		if status != "" && r.Status != status {
			continue
		}
		if err := e.write(p, r); err != nil {
			return fmt.Errorf("writing the results: %w", err)
		}
		e.Written++
	}
	return nil
}

func (e *Exporter) write(p *results.Part, r *results.Result) error {
	if e.format == CSV {
		return e.writeCSV(p, r)
	}
	e.line = append(results.Append(e.line[:0], p.JobID, r), '\n')
	_, err := e.buf.Write(e.line)
	return err
}

func (e *Exporter) writeCSV(p *results.Part, r *results.Result) error {
	var l results.Lookup
	if r.Lookup != nil {
		l = *r.Lookup
	}
	var order results.Porting
	if l.Porting != nil {
		order = *l.Porting
	}
	var fault results.Error
	if r.Error != nil {
		fault = *r.Error
	}
	e.row = append(e.row[:0],
		text(r.Ref), r.Number, r.E164, string(r.Status), l.Country, l.Area, l.LineType, tri(l.Valid), tri(l.Ported),
		l.OriginalCarrier.ID, l.OriginalCarrier.Name, l.CurrentCarrier.ID, l.CurrentCarrier.Name, strings.Join(l.TimeZones, " "),
		r.Provider, string(r.Source), stamp(r.AnsweredAt), r.Cost.Amount, r.Cost.Currency, attempts(r.Attempts),
		string(fault.Code), fault.Message, fault.ProviderCode, p.ID(r),
		stamp(l.PortedAt), tri(l.Portable), tri(l.FastPortable), l.NotPortableReason, l.MCC, l.MNC,
		string(l.Reachable), string(l.Roaming), string(l.Ringing), string(l.Answered), l.CallResponse,
		order.OrderID, order.OrderStatus, order.ActivationStatus, stamp(order.FOCAt), strings.Join(order.Exceptions, " "),
	)
	for i, cell := range e.row {
		e.row[i] = sheet.Guard(cell)
	}
	return e.csv.Write(e.row)
}

// text is a ref without its JSON quotes.
func text(ref json.RawMessage) string {
	if len(ref) == 0 || ref[0] != '"' {
		return string(ref)
	}
	var s string
	if err := json.Unmarshal(ref, &s); err != nil {
		return string(ref)
	}
	return s
}

func tri(t results.Tri) string {
	switch t {
	case results.Yes:
		return "true"
	case results.No:
		return "false"
	case results.Unknown:
	}
	return ""
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

func attempts(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}
