package main

import (
	"fmt"
	"math/big"
	"sort"
	"strconv"
	"strings"
)

// stepper applies an operation to a state: whether it is legal there, and the state after it. An
// operation whose result was not seen is legal where any result is.
type stepper func(state string, op *operation) (bool, string)

// object is a model: where it begins, what it does, and which of its failures say something.
type object struct {
	initial string
	step    stepper
	// Names of operations whose failure is an answer; the others that failed did not happen.
	asserts map[string]bool
}

const (
	null = "null"
	// Between the elements of a state: JSON text never holds it.
	separator = "\x1f"
)

var takes = map[string]bool{
	"dequeue": true, "deq": true, "poll": true, "pop": true, "popfront": true, "popback": true,
	"pollfirst": true, "polllast": true, "removefirst": true, "removelast": true,
	"popleft": true, "popright": true,
}

// plain is the name of an operation without case and separators: "poll-first", "POLL_FIRST".
func plain(name string) string {
	return strings.NewReplacer("-", "", "_", "").Replace(strings.ToLower(name))
}

// modelOf is the model of a name.
func modelOf(name string, options map[string]string) (object, error) {
	initial := options["init"]
	if initial == "" || initial == "nil" {
		initial = null
	}
	var asserts map[string]bool
	if options["failed-cas"] == "asserts" {
		asserts = map[string]bool{"cas": true}
	}
	if options["failed"] == "asserts" {
		asserts = takes
	}
	switch name {
	case "register", "cas-register":
		return object{initial, register(options["nil"] == "unknown"), asserts}, nil
	case "kv", "kv-append":
		return object{`""`, kv, nil}, nil
	case "counter":
		if initial == null {
			initial = "0"
		}
		return object{initial, counter, nil}, nil
	case "set":
		return object{"", set, nil}, nil
	case "g-set":
		return object{"", growOnlySet, nil}, nil
	case "queue":
		return object{"", ends(queueOps), asserts}, nil
	case "stack":
		return object{"", ends(stackOps), asserts}, nil
	case "deque":
		return object{"", ends(dequeOps), asserts}, nil
	case "priority-queue":
		return object{"", ends(priorityOps), asserts}, nil
	case "mutex":
		return object{"1", permits(1), nil}, nil
	case "semaphore":
		return semaphore(options)
	case "reentrant-mutex":
		return object{"free", reentrant, nil}, nil
	}
	return object{}, fmt.Errorf("no model %q here", name)
}

func isTrue(text string) bool { return text == "true" || text == "1" }

func isFalse(text string) bool { return text == "false" || text == "0" }

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
	// A completion that repeats its argument, as Jepsen's do, says nothing.
	says := op.known && op.result != null && op.result != op.arg
	switch op.f {
	case "read":
		return reads(op, items), state
	case "add", "insert":
		if says && isTrue(op.result) == there {
			return false, state
		}
		if there {
			return true, state
		}
		return true, join(with(items, at, op.arg))
	case "remove", "delete":
		if says && isTrue(op.result) != there {
			return false, state
		}
		if !there {
			return true, state
		}
		return true, join(without(items, at))
	case "contains":
		return !op.known || op.result == null || isTrue(op.result) == there, state
	}
	return false, state
}

// reads tells whether a read of a whole set saw these elements.
func reads(op *operation, items []string) bool {
	if !op.known || op.result == null {
		return true
	}
	seen := append([]string{}, op.results...)
	sort.Strings(seen)
	return join(unique(seen)) == join(items)
}

func unique(sorted []string) []string {
	var once []string
	for i, item := range sorted {
		if i == 0 || item != sorted[i-1] {
			once = append(once, item)
		}
	}
	return once
}

// growOnlySet has add, and read of all elements.
func growOnlySet(state string, op *operation) (bool, string) {
	items := elements(state)
	switch op.f {
	case "add", "broadcast":
		if at, there := place(items, op.arg); !there {
			return true, join(with(items, at, op.arg))
		}
		return true, state
	case "read":
		return reads(op, items), state
	}
	return false, state
}

// end says which end of the elements an operation works at, and whether it puts, takes or looks.
type end struct {
	front bool
	does  string
}

var (
	queueOps = map[string]end{
		"enqueue": {false, "put"}, "enq": {false, "put"}, "offer": {false, "put"},
		"dequeue": {true, "take"}, "deq": {true, "take"}, "poll": {true, "take"},
		"peek": {true, "look"},
	}
	stackOps = map[string]end{
		"push": {false, "put"}, "pop": {false, "take"}, "peek": {false, "look"},
		"top": {false, "look"},
	}
	dequeOps = map[string]end{
		"pushfront": {true, "put"}, "addfirst": {true, "put"}, "offerfirst": {true, "put"},
		"pushleft": {true, "put"}, "pushback": {false, "put"}, "addlast": {false, "put"},
		"offerlast": {false, "put"}, "pushright": {false, "put"},
		"popfront": {true, "take"}, "pollfirst": {true, "take"}, "removefirst": {true, "take"},
		"popleft": {true, "take"}, "popback": {false, "take"}, "polllast": {false, "take"},
		"removelast": {false, "take"}, "popright": {false, "take"},
		"peekfront": {true, "look"}, "peekfirst": {true, "look"}, "peekleft": {true, "look"},
		"peekback": {false, "look"}, "peeklast": {false, "look"}, "peekright": {false, "look"},
	}
	// The largest is last, and works as the top of a stack.
	priorityOps = map[string]end{
		"insert": {false, "rank"}, "enqueue": {false, "rank"}, "enq": {false, "rank"},
		"offer": {false, "rank"}, "poll": {false, "take"}, "dequeue": {false, "take"},
		"deq": {false, "take"}, "peek": {false, "look"},
	}
)

// ends is a collection that is filled and emptied at its ends.
func ends(ops map[string]end) stepper {
	return func(state string, op *operation) (bool, string) {
		items := elements(state)
		at, known := ops[op.f]
		switch {
		case !known:
			return false, state
		case at.does == "put" && at.front:
			return true, join(with(items, 0, op.arg))
		case at.does == "put":
			return true, join(with(items, len(items), op.arg))
		case at.does == "rank":
			place, ok := rank(items, op.arg)
			return ok, join(with(items, place, op.arg))
		case len(items) == 0:
			// nil and -1 say that nothing was there, as does a failure that asserts it.
			empty := op.refused || op.known && (op.result == null || op.result == "-1")
			return empty, state
		case op.refused:
			return false, state
		}
		i := len(items) - 1
		if at.front {
			i = 0
		}
		if op.known && op.result != items[i] {
			return false, state
		}
		if at.does == "look" {
			return true, state
		}
		return true, join(without(items, i))
	}
}

// rank is where a whole number belongs among others in ascending order.
func rank(items []string, arg string) (int, bool) {
	value, ok := new(big.Int).SetString(arg, 10)
	if !ok {
		return 0, false
	}
	return sort.Search(len(items), func(i int) bool {
		other, _ := new(big.Int).SetString(items[i], 10)
		return other.Cmp(value) >= 0
	}), true
}

func semaphore(options map[string]string) (object, error) {
	start, most := options["init"], options["n"]
	if start == "" {
		start = most
	}
	limit := int64(1) << 62
	if most != "" {
		n, err := strconv.ParseInt(most, 10, 64)
		if err != nil {
			return object{}, fmt.Errorf("semaphore: n=%q is no number", most)
		}
		limit = n
	}
	return object{start, permits(limit), nil}, nil
}

// permits is a mutex or semaphore: the state is how many permits are left.
func permits(most int64) stepper {
	return func(state string, op *operation) (bool, string) {
		left, err := strconv.ParseInt(state, 10, 64)
		if err != nil {
			return false, state
		}
		switch op.f {
		case "acquire", "lock", "decr", "tryacquire", "trylock":
			if op.known && isFalse(op.result) {
				return left == 0, state
			}
			return left > 0, strconv.FormatInt(left-1, 10)
		case "release", "unlock", "incr":
			return left < most, strconv.FormatInt(left+1, 10)
		}
		return false, state
	}
}

// reentrant is a mutex that its owner may take again: "free", or "OWNER DEPTH".
func reentrant(state string, op *operation) (bool, string) {
	owner, depth := -1, 0
	if state != "free" {
		if _, err := fmt.Sscan(state, &owner, &depth); err != nil {
			return false, state
		}
	}
	mine := depth > 0 && owner == op.process
	switch op.f {
	case "acquire", "lock", "tryacquire", "trylock":
		if op.known && isFalse(op.result) {
			return depth > 0 && !mine, state
		}
		return depth == 0 || mine, fmt.Sprint(op.process, " ", depth+1)
	case "release", "unlock":
		if depth == 1 {
			return mine, "free"
		}
		return mine, fmt.Sprint(owner, " ", depth-1)
	}
	return false, state
}
