# Completion of `fractary`: the names of its tools, and then what each tool completes by itself.
_fractary() {
    if [ "$COMP_CWORD" -eq 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W "help $(fractary --list 2>/dev/null | cut -f1)" -- "$2")
        return
    fi
    local tool="fractary-${COMP_WORDS[1]}"
    declare -F "_$tool" >/dev/null || _completion_loader "$tool" || __load_completion "$tool"
    declare -F "_$tool" >/dev/null || return
    COMP_WORDS=("$tool" "${COMP_WORDS[@]:2}")
    COMP_CWORD=$((COMP_CWORD - 1))
    "_$tool" "$tool" "$2" "$3"
}
complete -F _fractary -o bashdefault -o default fractary
