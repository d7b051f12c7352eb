package main

import (
	"fmt"
	"math/big"
	"sort"
	"strings"
)

// stepper applies an operation to a state: whether it is legal there, and the state after it. An
// operation whose result was not seen is legal where any result is.
type stepper func(state string, op *operation) (bool, string)

const (
	null = "null"
	// Between the elements of a state: JSON text never holds it.
	separator = "\x1f"
)

// modelOf gives the step and the initial state of a model.
func modelOf(name string, options map[string]string) (stepper, string, error) {
	initial := options["init"]
	if initial == "" || initial == "nil" {
		initial = null
	}
	switch name {
	case "register", "cas-register":
		return register(options["nil"] == "unknown"), initial, nil
	case "kv":
		return kv, `""`, nil
	case "counter":
		if initial == null {
			initial = "0"
		}
		return counter, initial, nil
	case "set":
		return set, "", nil
	case "g-set":
		return growOnlySet, "", nil
	case "queue":
		return queue, "", nil
	case "stack":
		return stack, "", nil
	case "priority-queue":
		return priorityQueue, "", nil
	case "mutex":
		return mutex, "free", nil
	}
	return nil, "", fmt.Errorf("no model %q here", name)
}

func isTrue(text string) bool { return text == "true" || text == "1" }

func register(nilIsUnknown bool) stepper {
	return func(state string, op *operation) (bool, string) {
		switch op.f {
		case "write":
			return true, op.arg
		case "read":
			says := op.known && !(nilIsUnknown && op.result == null)
			return !says || op.result == state, state
		case "cas":
			if len(op.args) != 2 {
				return false, state
			}
			if op.refused || op.known && op.result == "false" {
				return state != op.args[0], state
			}
			return state == op.args[0], op.args[1]
		}
		return false, state
	}
}

// kv is one key of a map of strings: get, put, append, delete.
func kv(state string, op *operation) (bool, string) {
	switch op.f {
	case "get":
		empty := op.result == null && state == `""`
		return !op.known || op.result == state || empty, state
	case "put":
		return true, op.arg
	case "append":
		if len(op.arg) < 2 || op.arg[0] != '"' {
			return false, state
		}
		return true, state[:len(state)-1] + op.arg[1:]
	case "delete":
		return true, `""`
	}
	return false, state
}

func counter(state string, op *operation) (bool, string) {
	now, ok := new(big.Int).SetString(state, 10)
	if !ok {
		return false, state
	}
	by := big.NewInt(1)
	if op.arg != null && op.arg != "" {
		if by, ok = new(big.Int).SetString(op.arg, 10); !ok && op.f != "read" {
			return false, state
		}
	}
	switch op.f {
	case "read":
		return !op.known || op.result == state, state
	case "add", "inc", "increment":
		return true, now.Add(now, by).String()
	case "dec", "decrement":
		return true, now.Sub(now, by).String()
	}
	return false, state
}

func elements(state string) []string {
	if state == "" {
		return nil
	}
	return strings.Split(state, separator)
}

func join(items []string) string { return strings.Join(items, separator) }

// place is where `item` is in the sorted `items`, or would be.
func place(items []string, item string) (int, bool) {
	at := sort.SearchStrings(items, item)
	return at, at < len(items) && items[at] == item
}

func with(items []string, at int, item string) []string {
	grown := append([]string{}, items[:at]...)
	return append(append(grown, item), items[at:]...)
}

func without(items []string, at int) []string {
	return append(append([]string{}, items[:at]...), items[at+1:]...)
}

// set has add, remove and contains, whose results say whether they found or changed something.
func set(state string, op *operation) (bool, string) {
	items := elements(state)
	at, there := place(items, op.arg)
	says := op.known && op.result != null && op.result != op.arg
	switch op.f {
	case "add", "insert":
		if says && isTrue(op.result) == there {
			return false, state
		}
		if there {
			return true, state
		}
		return true, join(with(items, at, op.arg))
	case "remove":
		if says && isTrue(op.result) != there {
			return false, state
		}
		if !there {
			return true, state
		}
		return true, join(without(items, at))
	case "contains":
		return !says || isTrue(op.result) == there, state
	}
	return false, state
}

// growOnlySet has add, and read of all elements; the caller sorts what a read returned.
func growOnlySet(state string, op *operation) (bool, string) {
	items := elements(state)
	switch op.f {
	case "add":
		if at, there := place(items, op.arg); !there {
			return true, join(with(items, at, op.arg))
		}
		return true, state
	case "read":
		return !op.known || op.result == "["+strings.Join(items, ",")+"]", state
	}
	return false, state
}

func taken(op *operation, items []string, at int, state string) (bool, string) {
	if len(items) == 0 {
		return op.known && op.result == null, state
	}
	if op.known && op.result != items[at] {
		return false, state
	}
	return true, join(without(items, at))
}

func queue(state string, op *operation) (bool, string) {
	items := elements(state)
	switch op.f {
	case "enqueue":
		return true, join(append(items, op.arg))
	case "dequeue":
		return taken(op, items, 0, state)
	}
	return false, state
}

func stack(state string, op *operation) (bool, string) {
	items := elements(state)
	switch op.f {
	case "push":
		return true, join(append(items, op.arg))
	case "pop":
		return taken(op, items, len(items)-1, state)
	}
	return false, state
}

// priorityQueue keeps its whole numbers in ascending order and gives the largest.
func priorityQueue(state string, op *operation) (bool, string) {
	items := elements(state)
	switch op.f {
	case "insert":
		value, ok := new(big.Int).SetString(op.arg, 10)
		if !ok {
			return false, state
		}
		at := sort.Search(len(items), func(i int) bool {
			other, _ := new(big.Int).SetString(items[i], 10)
			return other.Cmp(value) >= 0
		})
		return true, join(with(items, at, op.arg))
	case "poll":
		return taken(op, items, len(items)-1, state)
	}
	return false, state
}

func mutex(state string, op *operation) (bool, string) {
	switch op.f {
	case "acquire":
		return state == "free", "held"
	case "release":
		return state == "held", "free"
	}
	return false, state
}
