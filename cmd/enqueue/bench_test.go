package main

func baseline([]string) int { return 0 }
