package checkup_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"bridge.example/internal/checkup"
)

func TestReport(t *testing.T) {
	r := newHouse(t).build(t).examine(t)
	var back checkup.Report
	if err := json.Unmarshal(r.Encode(), &back); err != nil || !reflect.DeepEqual(back, r) || back.Hash() != r.Hash() {
		t.Errorf("a report does not survive its own encoding: %v", err)
	}
	back.Findings[0].Evidence[0] += "."
	if back.Hash() == r.Hash() || bytes.Equal(back.Encode(), r.Encode()) {
		t.Error("the hash does not bind the evidence")
	}
	order := func(r checkup.Report) (out []string) {
		for _, f := range r.Findings {
			out = append(out, f.ID+" "+f.Subject)
		}
		return out
	}
	h := newHouse(t)
	if again := h.build(t).examine(t); !reflect.DeepEqual(order(r), order(again)) {
		t.Error("two examinations of the same come in different orders")
	}
}

func TestDiff(t *testing.T) {
	at := func(verdict checkup.Verdict, ids ...string) (r checkup.Report) {
		for _, id := range ids {
			r.Findings = append(r.Findings, checkup.Finding{ID: id, Subject: "x", Verdict: verdict, Took: time.Duration(len(ids))})
		}
		return r
	}
	for _, tt := range []struct {
		name     string
		old, new checkup.Report
		want     []string
	}{
		{"nothing", at(checkup.OK, "C1", "C2"), at(checkup.OK, "C1", "C2"), nil},
		{"worse", at(checkup.OK, "C1"), at(checkup.Fail, "C1"), []string{"C1 x: ok, now fail"}},
		{"new", at(checkup.OK, "C1"), at(checkup.OK, "C1", "C2"), []string{"C2 x: not examined, now ok"}},
		{"gone", at(checkup.Warn, "C1", "C2"), at(checkup.Warn, "C2"), []string{"C1 x: warn, now not examined"}},
	} {
		var got []string
		for _, c := range checkup.Diff(tt.old, tt.new) {
			got = append(got, c.String())
		}
		if !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}
