package main

import _ "example.com/m/internal/faultnet"

func main() {}
