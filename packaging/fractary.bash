# Completion for `fractary`: the names of its tools, then the completion of the tool itself.
_fractary() {
    if [ "$COMP_CWORD" -eq 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W "help $(fractary --list 2>/dev/null | cut -f1)" -- "$2")
        return
    fi
    local tool="fractary-${COMP_WORDS[1]}" function
    complete -p "$tool" &>/dev/null || _completion_loader "$tool"
    function=$(complete -p "$tool" 2>/dev/null | sed -n 's/.* -F \([^ ]*\) .*/\1/p')
    [ -n "$function" ] || return
    COMP_WORDS=("$tool" "${COMP_WORDS[@]:2}")
    COMP_CWORD=$((COMP_CWORD - 1))
    "$function" "$tool" "$2" "$3"
}
complete -F _fractary -o bashdefault -o default fractary
