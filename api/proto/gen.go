// Package proto is the administrative interface of the bridge: messages and
// service of bridge.v1, generated from bridge.proto.
package proto

//go:generate go -C ../../tools run ./protogen ../api/proto
