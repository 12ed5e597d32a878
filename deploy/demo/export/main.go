// Command export writes the example CRM export that `make demo` looks up, to
// standard output: phone numbers of every country, as people and spreadsheets
// write them, with some rows that hold none. The output depends on nothing but
// the number metadata this module is pinned to. The numbers are made up: they
// are valid by their country's plan, and nobody was asked for them.
//
//	go run ./deploy/demo/export > deploy/demo/crm-export.csv
package main

import (
	"encoding/csv"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"time"
)

const (
	// rows is what the demo promises, with room for the rows without a number.
	rows = 12000
	// unusable and again are shares of rows without a number and of customers
	// that stand in the file twice.
	unusable = 0.03
	again    = 0.01
	// The seed is arbitrary; changing it changes the file.
	seed1, seed2 = 20261121, 7
)

func main() {
	if err := write(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "export:", err)
		os.Exit(1)
	}
}

// write writes the whole export the way a spreadsheet does: UTF-8 with a byte
// order mark, semicolons, CRLF.
func write(out io.Writer) error {
	if _, err := io.WriteString(out, "\ufeff"); err != nil {
		return err
	}
	w := csv.NewWriter(out)
	w.Comma, w.UseCRLF = ';', true
	if err := w.Write([]string{"Customer ID", "Company", "Phone", "Country", "Last contact"}); err != nil {
		return err
	}
	rnd := rand.New(rand.NewPCG(seed1, seed2)) //nolint:gosec // the same file each time, on purpose
	day := time.Date(2026, time.November, 20, 0, 0, 0, 0, time.UTC)
	for i, c := range contacts(rnd) {
		last := day.AddDate(0, 0, -rnd.IntN(1500)).Format(time.DateOnly)
		row := []string{fmt.Sprintf("C-%05d", i+1), company(rnd, i), c.phone, c.country, last}
		if err := w.Write(row); err != nil {
			return err
		}
	}
	w.Flush()
	return w.Error()
}

// contact is what varies from row to row.
type contact struct{ phone, country string }

// contacts makes the rows in a random order.
func contacts(rnd *rand.Rand) []contact {
	all := make([]contact, 0, rows)
	for _, region := range quota() {
		for _, number := range someNumbers(rnd, region) {
			all = append(all, dress(rnd, number, region.code))
			if rnd.Float64() < again {
				all = append(all, dress(rnd, number, region.code))
			}
			if rnd.Float64() < unusable {
				all = append(all, contact{phone: rubbish(rnd), country: region.code})
			}
		}
	}
	rnd.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return slices.Clip(all)
}

// company makes a name; a few hold what breaks a careless CSV reader.
func company(rnd *rand.Rand, i int) string {
	first := []string{
		"Alder", "Amazonas", "Baobab", "Birch", "Cedro", "Delta", "Ébène", "Fjord", "Görlitz", "Hanami", "Iroko",
		"Jasmin", "Kauri", "Łąka", "Mistral", "Nórdica", "Olive", "Pampa", "Qilin", "Rowan", "Šumava", "Tamarind", "Żubr", "泰山", "東京",
	}
	second := []string{"Trading", "& Sons", "Logistics", "GmbH", "Ltd", "S.A.", "Foods", "Textiles", "Energy", "Clinic", "Hotels", "Kft.", "商贸"}
	name := first[rnd.IntN(len(first))] + " " + second[rnd.IntN(len(second))]
	switch {
	case i%97 == 0:
		return `"` + name + `"; branch ` + strconv.Itoa(i)
	case i%211 == 0:
		return name + "\nc/o accounts"
	}
	return name
}
