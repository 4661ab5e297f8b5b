package main

import "syscall/js"

func main() {
	js.Global().Set("stoaRegoCompiler", js.FuncOf(func(_ js.Value, args []js.Value) any { return string(reply(handle([]byte(args[0].String())))) }))
	select {}
}
