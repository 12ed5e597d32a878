package jobs

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/textproto"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/lookupq/lookupq/internal/names"
)

// ErrHidden says that a stream cannot be looked into with these rights.
var ErrHidden = errors.New("the stream cannot be looked into with these rights")

// codeNoMessage is the server's answer when there is no such message.
const codeNoMessage = 10037

// WaitingJobs calls visit with the id of every job of a campaign that is stored
// and not yet answered, from a sequence of the stream on. It asks for one message
// at a time (0.1 to 0.2 ms), so it is for the short end of a stream. ErrHidden if
// the rights do not allow it.
func (s *Campaigns) WaitingJobs(ctx context.Context, tenant, campaign string, from uint64, visit func(jobID string)) error {
	seq := max(from, 1)
	for {
		id, at, err := s.nextJob(ctx, tenant, campaign, seq)
		if err != nil || at == 0 {
			return err
		}
		if id != "" {
			visit(id)
		}
		seq = at + 1
	}
}

// nextJob is the first job of a campaign at seq or behind; at is 0 if there is none.
func (s *Campaigns) nextJob(ctx context.Context, tenant, campaign string, seq uint64) (id string, at uint64, err error) {
	body, err := json.Marshal(map[string]any{"seq": seq, "next_by_subj": s.n.CampaignJobs(tenant, campaign)})
	if err != nil {
		return "", 0, err
	}
	m, err := s.message(ctx, s.n.JobsStream(), body)
	if err != nil || m == nil {
		return "", 0, err
	}
	return jobIDOf(m.Header, tenant, campaign), m.Seq, nil
}

// Message returns the body of one message of a stream, such as a part of a
// campaign's results. ErrHidden if the rights do not allow it.
func (s *Campaigns) Message(ctx context.Context, stream string, seq uint64) ([]byte, error) {
	m, err := s.message(ctx, stream, []byte(`{"seq":`+strconv.FormatUint(seq, 10)+`}`))
	if err != nil {
		return nil, err
	}
	if m == nil {
		return nil, fmt.Errorf("message %d of %s is gone", seq, stream)
	}
	return m.Data, nil
}

// storedMessage is a message as STREAM.MSG.GET tells it.
type storedMessage struct {
	Seq    uint64 `json:"seq"`
	Header []byte `json:"hdrs"`
	Data   []byte `json:"data"`
}

// message asks a stream for one message; nil if there is none.
func (s *Campaigns) message(ctx context.Context, stream string, request []byte) (*storedMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	msg, err := s.nc.RequestWithContext(ctx, s.api+".STREAM.MSG.GET."+stream, request)
	if errors.Is(err, nats.ErrNoResponders) || errors.Is(err, context.DeadlineExceeded) {
		return nil, ErrHidden
	}
	if err != nil {
		return nil, fmt.Errorf("looking into %s: %w", stream, err)
	}
	var reply struct {
		Message *storedMessage      `json:"message"`
		Error   *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(msg.Data, &reply); err != nil {
		return nil, fmt.Errorf("looking into %s: %w", stream, err)
	}
	switch {
	case reply.Error != nil && reply.Error.ErrorCode == codeNoMessage:
		return nil, nil //nolint:nilnil // there is none
	case reply.Error != nil:
		return nil, fmt.Errorf("looking into %s: %w", stream, reply.Error)
	case reply.Message == nil:
		return nil, fmt.Errorf("looking into %s: empty reply", stream)
	}
	return reply.Message, nil
}

// jobIDOf is the job id in the message id of a stored job's headers; "" if it has
// none or another form.
func jobIDOf(header []byte, tenant, campaign string) string {
	_, fields, ok := bytes.Cut(header, []byte("\r\n"))
	if !ok {
		return ""
	}
	h, err := textproto.NewReader(bufio.NewReader(bytes.NewReader(fields))).ReadMIMEHeader()
	if err != nil {
		return ""
	}
	// MIME headers are canonical here whatever their case was.
	msgID := h.Get(jetstream.MsgIDHeader)
	prefix := names.Identity{Tenant: tenant, Campaign: campaign}.MsgID()
	id, ok := bytes.CutPrefix([]byte(msgID), []byte(prefix))
	if !ok {
		return ""
	}
	return string(id)
}

// JobsLeft is how many jobs of a campaign are stored and not yet answered. It
// may be late by some milliseconds, never too low. ErrHidden if the rights do not
// allow it.
func (s *Campaigns) JobsLeft(ctx context.Context, tenant, campaign string) (uint64, error) {
	body, err := json.Marshal(map[string]string{"subjects_filter": s.n.CampaignJobs(tenant, campaign)})
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	msg, err := s.nc.RequestWithContext(ctx, s.api+".STREAM.INFO."+s.n.JobsStream(), body)
	if errors.Is(err, nats.ErrNoResponders) || errors.Is(err, context.DeadlineExceeded) {
		return 0, ErrHidden
	}
	if err != nil {
		return 0, fmt.Errorf("asking for the jobs left: %w", err)
	}
	var reply struct {
		State struct {
			Subjects map[string]uint64 `json:"subjects"`
		} `json:"state"`
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(msg.Data, &reply); err != nil {
		return 0, fmt.Errorf("asking for the jobs left: %w", err)
	}
	if reply.Error != nil {
		return 0, fmt.Errorf("asking for the jobs left: %w", reply.Error)
	}
	var left uint64
	for _, n := range reply.State.Subjects {
		left += n
	}
	return left, nil
}
