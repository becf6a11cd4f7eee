package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"bridge.example/internal/fault"
)

// TestStay wants each run reported, whatever becomes of it, and no end before
// somebody wants one.
func TestStay(t *testing.T) {
	var errs bytes.Buffer
	tool := newTool()
	tool.err = &errs
	ctx, cancel := context.WithCancel(t.Context())
	runs := 0
	err := tool.stay(ctx, time.Second, func(context.Context) error {
		if runs++; runs == 2 {
			cancel()
			return ctx.Err()
		}
		return fault.New(fault.Unavailable, "nobody there")
	})
	if err != nil || runs != 2 || strings.Count(errs.String(), "\n") != 1 || !strings.Contains(errs.String(), "error: nobody there") {
		t.Errorf("got %v after %d runs:\n%s", err, runs, &errs)
	}
}
