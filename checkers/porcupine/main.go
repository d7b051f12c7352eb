// Command porcupine judges one history with github.com/anishathalye/porcupine: the second engine of
// Dissensus.
//
// It reads standard input: a line with the question, then a line for each operation, in any order:
//
//	{"schema":1,"model":"queue","options":{"init":"null"},"seconds":10,"bytes":1000000000}
//	[object, process, "f", argument, result, outcome, call, return]
//
// The object is a number; argument and result are any JSON; the outcome is 1 (ok), 0 (info: it may
// have happened) or 2 (it failed, and says so); call and return are positions. The answer is a line
// of JSON: {"verdict":"ok"|"illegal"|"unknown","why":"","cpu_ns":N,"peak_bytes":N,"version":"v1.3.1"}, where
// the CPU time is that of the search alone; "unknown" tells whether the time or the memory was used
// up. Anything else is an error on standard error, and
// exit code 4 for a question that it does not understand.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"syscall"
	"time"

	"github.com/anishathalye/porcupine"
)

const (
	schema = 1
	// A value can be long, but not longer than a whole history that fits the limits.
	longestLine = 256 << 20
	// How often the memory is looked at: a search allocates some GB a second at most.
	memoryEvery = 20 * time.Millisecond
)

// Outcomes as in the history's columns.
const (
	outcomeInfo = 0
	outcomeOk   = 1
	outcomeFail = 2
)

type question struct {
	Schema  int               `json:"schema"`
	Model   string            `json:"model"`
	Options map[string]string `json:"options"`
	Seconds float64           `json:"seconds"`
	Bytes   uint64            `json:"bytes"`
}

type answer struct {
	Verdict string `json:"verdict"`
	Why     string `json:"why"`
	CPU     int64  `json:"cpu_ns"`
	Peak    int64  `json:"peak_bytes"`
	Version string `json:"version"`
}

// operation is what a model's step sees. Values are JSON texts: equal text means equal value.
type operation struct {
	process int
	f       string
	arg     string
	args    []string // elements of the argument, where it is a list
	result  string
	results []string // elements of the result, where it is a list
	known   bool     // the result was seen
	refused bool     // it failed, and the failure says something
}

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "porcupine:", err)
		os.Exit(4)
	}
}

func run(in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 1<<20), longestLine)
	if !lines.Scan() {
		return fmt.Errorf("no question on standard input")
	}
	var asked question
	if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
		return fmt.Errorf("line 1: %w", err)
	}
	if asked.Schema != schema {
		return fmt.Errorf("schema %d, this helper knows %d", asked.Schema, schema)
	}
	model, err := modelOf(asked.Model, asked.Options)
	if err != nil {
		return err
	}
	objects, err := read(lines, model)
	if err != nil {
		return err
	}
	watchMemory(asked.Bytes, out)
	begin := cpu()
	verdict := judge(objects, model, time.Duration(asked.Seconds*float64(time.Second)))
	why := ""
	if verdict == porcupine.Unknown {
		why = "time"
	}
	return reply(out, verdict, why, cpu()-begin)
}

func reply(out io.Writer, verdict porcupine.CheckResult, why string, spent int64) error {
	names := map[porcupine.CheckResult]string{
		porcupine.Ok: "ok", porcupine.Illegal: "illegal", porcupine.Unknown: "unknown",
	}
	text, err := json.Marshal(answer{names[verdict], why, spent, peak(), version()})
	if err != nil {
		return err
	}
	_, err = out.Write(append(text, '\n'))
	return err
}

// judge gives each object to Porcupine as a partition of its own.
func judge(
	objects [][]porcupine.Operation, kind object, limit time.Duration,
) porcupine.CheckResult {
	var all []porcupine.Operation
	for _, object := range objects {
		all = append(all, object...)
	}
	model := porcupine.Model{
		Partition: func([]porcupine.Operation) [][]porcupine.Operation { return objects },
		Init:      func() interface{} { return kind.initial },
		Step: func(state, input, _ interface{}) (bool, interface{}) {
			before, op := state.(string), input.(*operation)
			legal, after := kind.step(before, op)
			if legal {
				return true, after
			}
			// Porcupine applies every operation. One whose result nobody saw may not have
			// happened: it is placed where it does nothing.
			return !op.known && !op.refused, before
		},
		Equal: func(a, b interface{}) bool { return a.(string) == b.(string) },
		Hash:  func(state interface{}) uint64 { return fnv(state.(string)) },
	}
	return porcupine.CheckOperationsTimeout(model, all, limit)
}

func fnv(text string) uint64 {
	hash := uint64(14695981039346656037)
	for i := 0; i < len(text); i++ {
		hash = (hash ^ uint64(text[i])) * 1099511628211
	}
	return hash
}

// read takes the operations, split by object.
func read(lines *bufio.Scanner, model object) ([][]porcupine.Operation, error) {
	place := map[int]int{}
	var objects [][]porcupine.Operation
	for number := 2; lines.Scan(); number++ {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		object, op, err := readOperation(lines.Bytes())
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		in := op.Input.(*operation)
		if in.refused && !model.asserts[in.f] {
			continue
		}
		at, known := place[object]
		if !known {
			at = len(objects)
			place[object] = at
			objects = append(objects, nil)
		}
		objects[at] = append(objects[at], op)
	}
	return objects, lines.Err()
}

func readOperation(line []byte) (int, porcupine.Operation, error) {
	var none porcupine.Operation
	var fields []json.RawMessage
	if err := json.Unmarshal(line, &fields); err != nil {
		return 0, none, err
	}
	if len(fields) != 8 {
		return 0, none, fmt.Errorf("%d fields, expected 8", len(fields))
	}
	var object, process, outcome int
	var call, end int64
	op := &operation{arg: string(fields[3]), result: string(fields[4])}
	for field, into := range map[int]interface{}{
		0: &object, 1: &process, 2: &op.f, 5: &outcome, 6: &call, 7: &end,
	} {
		if err := json.Unmarshal(fields[field], into); err != nil {
			return 0, none, fmt.Errorf("field %d: %w", field, err)
		}
	}
	op.process, op.known, op.refused = process, outcome == outcomeOk, outcome == outcomeFail
	op.f = plain(op.f)
	op.args, op.results = items(fields[3]), items(fields[4])
	return object, porcupine.Operation{ClientId: process, Input: op, Call: call, Return: end}, nil
}

// items are the elements of a list, none of anything else.
func items(value json.RawMessage) []string {
	var raw []json.RawMessage
	if len(value) == 0 || value[0] != '[' || json.Unmarshal(value, &raw) != nil {
		return nil
	}
	texts := make([]string, len(raw))
	for i, item := range raw {
		texts[i] = string(item)
	}
	return texts
}

// watchMemory ends the process with an answer when more than `limit` bytes are in use.
func watchMemory(limit uint64, out io.Writer) {
	if limit == 0 {
		return
	}
	// The collector works harder as the limit comes near, and never lets the heap grow to twice it.
	debug.SetMemoryLimit(int64(limit))
	sample := []metrics.Sample{{Name: "/memory/classes/total:bytes"}}
	go func() {
		for range time.Tick(memoryEvery) {
			metrics.Read(sample)
			if sample[0].Value.Uint64() > limit {
				if reply(out, porcupine.Unknown, "memory", cpu()) != nil {
					os.Exit(3)
				}
				os.Exit(0)
			}
		}
	}()
}

// peak is the most memory that this process held.
func peak() int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for _, line := range strings.Split(string(status), "\n") {
		var kilobytes int64
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kilobytes); err == nil {
			return kilobytes << 10
		}
	}
	return 0
}

func cpu() int64 {
	var used syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &used) != nil {
		return 0
	}
	return used.Utime.Nano() + used.Stime.Nano()
}

func version() string {
	info, ok := debug.ReadBuildInfo()
	if ok {
		for _, dep := range info.Deps {
			if dep.Path == "github.com/anishathalye/porcupine" {
				return dep.Version
			}
		}
	}
	return "unknown"
}
