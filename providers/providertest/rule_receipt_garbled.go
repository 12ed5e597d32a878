package providertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/lookupq/lookupq/providers"
)

// checkGarbledReceipts: what is no receipt, or only the beginning of one, is an
// error whose text holds nothing of it: anybody may post to that address.
func checkGarbledReceipts(_ context.Context, x *exam) error {
	d, ok := x.sample.(providers.Deferred)
	if !ok {
		return errNotDeferred
	}
	deep := strings.Repeat("[", 100_000)
	garbage := []string{
		"", " ", "null", "true", "0", `""`, "[]", "{}", "[{}]", `{"data":{}}`, "<html>hunter2</html>", "hunter2", "\x00\xff",
		`{"hunter2":`, deep, strings.Repeat(`{"data":`, 100_000), `{"data":` + deep + strings.Repeat("]", 100_000) + "}",
	}
	for _, body := range garbage {
		if err := refused(d, []byte(body)); err != nil {
			return fmt.Errorf("%.20q %w", body, err)
		}
	}
	return x.eachReceipt(func(d providers.Deferred, r *Receipt) error {
		body := bytes.TrimSpace(r.Body)
		for end := range body {
			if err := refused(d, body[:end]); err != nil {
				return fmt.Errorf("cut to %d bytes %w", end, err)
			}
		}
		return nil
	})
}

func refused(d providers.Deferred, body []byte) error {
	_, err := receive(d, body, false)
	if err == nil {
		return errors.New("is taken for a receipt")
	}
	return unsound(err)
}

// quoting is err, or what is wrong with it: five digits in a row, or a word of
// the garbage, can only come from the body.
func quoting(err error, body []byte) error {
	text := err.Error()
	for i := range len(text) - 4 {
		if piece := text[i : i+5]; strings.Trim(piece, "0123456789") == "" && bytes.Contains(body, []byte(piece)) {
			return unsoundError{errors.New("the error quotes the body")}
		}
	}
	if strings.Contains(text, "hunter2") {
		return unsoundError{errors.New("the error quotes the body")}
	}
	return err
}
