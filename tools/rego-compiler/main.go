// OPA's library for Node: one JSON request in, one JSON answer out. Operations: check, test, build.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/bundle"
	"github.com/open-policy-agent/opa/v1/compile"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/tester"
)

type request struct {
	Op      string            `json:"op"`
	Modules map[string]string `json:"modules"`
	// Modules of this map may refer to data below their own package and to data.governance only in what they may read: nothing else of data.
	Confined    map[string]string `json:"confined"`
	Data        map[string]any    `json:"data"`
	Entrypoints []string          `json:"entrypoints"`
	// Built-in functions that do not exist for these modules; `net.` forbids a whole family.
	Forbidden []string `json:"forbidden"`
	TestMs    int      `json:"test_ms"`
}

type issue struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Message string `json:"message"`
}

func issues(err error) map[string]any {
	list := []issue{}
	if many, ok := err.(ast.Errors); ok {
		for _, e := range many {
			one := issue{Message: e.Message}
			if e.Location != nil {
				one.File, one.Line = e.Location.File, e.Location.Row
			}
			list = append(list, one)
		}
	} else {
		list = append(list, issue{Message: err.Error()})
	}
	return map[string]any{"issues": list}
}

func capabilities(forbidden []string) *ast.Capabilities {
	caps := ast.CapabilitiesForThisVersion()
	caps.Builtins = slices.DeleteFunc(caps.Builtins, func(b *ast.Builtin) bool {
		return slices.ContainsFunc(forbidden, func(f string) bool { return b.Name == f || (strings.HasSuffix(f, ".") && strings.HasPrefix(b.Name, f)) })
	})
	caps.AllowNet = []string{}
	return caps
}

// A tenant's module sees its own package and the input, and nothing of anybody else.
func confined(name string, m *ast.Module, pkg string) []issue {
	found := []issue{}
	if got := m.Package.Path.String(); got != pkg {
		found = append(found, issue{name, m.Package.Location.Row, fmt.Sprintf("the package must be %s, not %s", strings.TrimPrefix(pkg, "data."), strings.TrimPrefix(got, "data."))})
	}
	own := ast.MustParseRef(pkg)
	for _, imported := range m.Imports {
		if ref, ok := imported.Path.Value.(ast.Ref); ok && ref[0].Equal(ast.DefaultRootDocument) && !ref.HasPrefix(own) {
			found = append(found, issue{name, imported.Location.Row, "a rule may import nothing of data beside its own package"})
		}
	}
	ast.WalkRefs(m, func(ref ast.Ref) bool {
		if ref[0].Equal(ast.DefaultRootDocument) && !ref.HasPrefix(own) && !ref.Equal(m.Package.Path) {
			row := 0
			if l := ref[0].Location; l != nil {
				row = l.Row
			}
			found = append(found, issue{name, row, fmt.Sprintf("%s is not this package's own: a rule may read input and its own package", ref)})
		}
		return false
	})
	denies := false
	for _, rule := range m.Rules {
		if rule.Head.Name == "deny" || (len(rule.Head.Reference) > 0 && rule.Head.Reference[0].Value.Compare(ast.Var("deny")) == 0) {
			denies = true
			if rule.Head.RuleKind() != ast.MultiValue {
				found = append(found, issue{name, rule.Location.Row, "deny must be a set: write `deny contains {\"rule_id\": …, \"reason\": …, \"message\": …} if …`"})
			}
		}
	}
	if !denies {
		found = append(found, issue{name, 1, "the module has no rule `deny contains …`, so it would decide nothing"})
	}
	return found
}

func handle(raw []byte) (out map[string]any) {
	defer func() {
		if p := recover(); p != nil {
			out = issues(fmt.Errorf("the compiler failed: %v", p))
		}
	}()
	var q request
	if err := json.Unmarshal(raw, &q); err != nil {
		return issues(err)
	}
	ctx := context.Background()
	caps := capabilities(q.Forbidden)
	mods := map[string]*ast.Module{}
	for name, source := range q.Modules {
		m, err := ast.ParseModuleWithOpts(name, source, ast.ParserOptions{ProcessAnnotation: true, Capabilities: caps})
		if err != nil {
			return issues(err)
		}
		if m == nil {
			return map[string]any{"issues": []issue{{name, 1, "the file holds no Rego"}}}
		}
		mods[name] = m
		if pkg, ok := q.Confined[name]; ok {
			if list := confined(name, m, pkg); len(list) > 0 {
				return map[string]any{"issues": list}
			}
		}
	}
	if q.Data == nil {
		q.Data = map[string]any{}
	}
	switch q.Op {
	case "check":
		c := ast.NewCompiler().WithStrict(true).WithCapabilities(caps)
		if c.Compile(mods); c.Failed() {
			return issues(c.Errors)
		}
		return map[string]any{"ok": true}
	case "build":
		b := bundle.Bundle{Data: q.Data, Manifest: bundle.Manifest{Roots: &[]string{""}}}
		for name, m := range mods {
			b.Modules = append(b.Modules, bundle.ModuleFile{URL: name, Path: name, Raw: []byte(q.Modules[name]), Parsed: m})
		}
		slices.SortFunc(b.Modules, func(x, y bundle.ModuleFile) int { return strings.Compare(x.Path, y.Path) })
		c := compile.New().WithTarget(compile.TargetWasm).WithEntrypoints(q.Entrypoints...).WithBundle(&b).WithCapabilities(caps)
		if err := c.Build(ctx); err != nil {
			return issues(err)
		}
		return map[string]any{"wasm": c.Bundle().WasmModules[0].Raw}
	case "test":
		limit := time.Duration(max(q.TestMs, 1)) * time.Millisecond
		ch, err := tester.NewRunner().SetStore(inmem.NewFromObject(q.Data)).SetModules(mods).SetCompiler(ast.NewCompiler().WithCapabilities(caps)).SetTimeout(limit).Run(ctx, mods)
		if err != nil {
			return issues(err)
		}
		tests, failed := 0, []issue{}
		for r := range ch {
			tests++
			if !r.Pass() {
				why := "the test fails"
				if r.Error != nil {
					why = r.Error.Error()
				}
				failed = append(failed, issue{r.Location.File, r.Location.Row, fmt.Sprintf("%s.%s: %s", strings.TrimPrefix(r.Package, "data."), r.Name, why)})
			}
		}
		if len(failed) > 0 {
			return map[string]any{"issues": failed}
		}
		return map[string]any{"tests": tests}
	}
	return issues(fmt.Errorf("unknown operation %q", q.Op))
}

func reply(o map[string]any) []byte {
	b, err := json.Marshal(o)
	if err != nil {
		b, _ = json.Marshal(issues(err))
	}
	return b
}
