黑/null/100
是/null/9000000
