// Command protogen generates the Go code of every .proto file in a folder,
// beside it, without protoc: it compiles the files itself and hands them to the
// plugins pinned in go.mod. An RPC without a rule of who may call it is refused.
//
// With -check it writes nothing and fails when a generated file is not current.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

// plugins are tools of go.mod and the parameters they are given.
var plugins = [...]struct{ name, parameter string }{
	{"protoc-gen-go", "paths=source_relative"},
	{"protoc-gen-go-grpc", "paths=source_relative"},
}

func main() {
	check := flag.Bool("check", false, "write nothing; fail when a generated file is not current")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: protogen [-check] FOLDER")
		os.Exit(2)
	}
	if err := run(context.Background(), flag.Arg(0), *check); err != nil {
		fmt.Fprintln(os.Stderr, "protogen:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, dir string, check bool) error {
	files, err := generate(ctx, dir)
	if err != nil {
		return err
	}
	for _, f := range files {
		path := filepath.Join(dir, f.GetName())
		old, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		switch {
		case err == nil && string(old) == f.GetContent():
			// Untouched: its time of change stays, and so do build caches.
		case check:
			return fmt.Errorf("%s is not current; run make generate", path)
		default:
			if err := os.WriteFile(path, []byte(f.GetContent()), 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

// generate compiles the .proto files of dir and returns what the plugins make
// of them.
func generate(ctx context.Context, dir string) ([]*pluginpb.CodeGeneratorResponse_File, error) {
	sources, err := filepath.Glob(filepath.Join(dir, "*.proto"))
	if err != nil {
		return nil, err
	}
	for i := range sources {
		sources[i] = filepath.Base(sources[i])
	}
	compiler := protocompile.Compiler{
		Resolver:       protocompile.WithStandardImports(&protocompile.SourceResolver{ImportPaths: []string{dir}}),
		SourceInfoMode: protocompile.SourceInfoStandard, // comments travel into the generated code
	}
	compiled, err := compiler.Compile(ctx, sources...)
	if err != nil {
		return nil, err
	}
	req := &pluginpb.CodeGeneratorRequest{FileToGenerate: sources}
	seen := map[string]bool{}
	for _, f := range compiled {
		if err := wantRules(f); err != nil {
			return nil, err
		}
		req.ProtoFile = appendFile(req.ProtoFile, f, seen)
	}
	var out []*pluginpb.CodeGeneratorResponse_File
	for _, p := range plugins {
		req.Parameter = proto.String(p.parameter)
		files, err := call(ctx, p.name, req)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		out = append(out, files...)
	}
	return out, nil
}

// wantRules wants every RPC of f to have the option bridge.v1.rule, and not an
// empty one.
func wantRules(f protoreflect.FileDescriptor) error {
	for i := range f.Services().Len() {
		methods := f.Services().Get(i).Methods()
		for j := range methods.Len() {
			if m := methods.Get(j); !hasRule(m) {
				return fmt.Errorf("%s: %s has no rule: say who may call it by option (rule)", f.Path(), m.FullName())
			}
		}
	}
	return nil
}

func hasRule(m protoreflect.MethodDescriptor) (found bool) {
	m.Options().ProtoReflect().Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if fd.FullName() == "bridge.v1.rule" {
			v.Message().Range(func(protoreflect.FieldDescriptor, protoreflect.Value) bool { found = true; return false })
		}
		return !found
	})
	return found
}

// appendFile appends f to list, after the files it imports: plugins read them
// in this order.
func appendFile(list []*descriptorpb.FileDescriptorProto, f protoreflect.FileDescriptor, seen map[string]bool) []*descriptorpb.FileDescriptorProto {
	if seen[f.Path()] {
		return list
	}
	seen[f.Path()] = true
	for i := range f.Imports().Len() {
		list = appendFile(list, f.Imports().Get(i).FileDescriptor, seen)
	}
	return append(list, protodesc.ToFileDescriptorProto(f))
}

// call runs one plugin, which reads a request and writes a response.
func call(ctx context.Context, plugin string, req *pluginpb.CodeGeneratorRequest) ([]*pluginpb.CodeGeneratorResponse_File, error) {
	in, err := proto.Marshal(req)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "go", "tool", plugin)
	cmd.Stdin = bytes.NewReader(in)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	var resp pluginpb.CodeGeneratorResponse
	if err := proto.Unmarshal(out, &resp); err != nil {
		return nil, fmt.Errorf("reading its response: %w", err)
	}
	if resp.Error != nil {
		return nil, errors.New(resp.GetError())
	}
	return resp.File, nil
}
