package storetest_test

import (
	"testing"

	"bridge.example/internal/storetest"
	"bridge.example/membership"
)

func TestMemory(t *testing.T) {
	storetest.Members(t, func(*testing.T) membership.Store { return storetest.NewMemory() })
}
