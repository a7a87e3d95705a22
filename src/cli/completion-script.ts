/** What may follow a command. */
export type WordsAt = {
  /** Names of the command: `['ticket', 'create']` */
  readonly path: readonly string[]
  readonly words: readonly { readonly word: string; readonly summary: string }[]
}

/** Words by command; files where nothing else fits. */
export function toBashCompletion(table: readonly WordsAt[]): string {
  const cases = table.map(({ path, words }) => {
    const list = words.map(({ word }) => word).join(' ')
    return `    '${path.join(' ')}') words='${list}' ;;`
  })
  return `_swarm() {
  local path='' word words='' i
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="\${COMP_WORDS[i]}"
    [[ $word == -* ]] && continue
    case "\${path:+$path }$word" in
      ${table
        .filter(({ path }) => path.length > 0)
        .map(({ path }) => `'${path.join(' ')}'`)
        .join('|')}) path="\${path:+$path }$word" ;;
    esac
  done
  case "$path" in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _swarm swarm
`
}

/** zsh runs the completion of bash. */
export function toZshCompletion(table: readonly WordsAt[]): string {
  return `autoload -U +X bashcompinit && bashcompinit\n${toBashCompletion(table)}`
}

export function toFishCompletion(table: readonly WordsAt[]): string {
  const lines = table.flatMap(({ path, words }) => {
    const condition =
      path.length === 0
        ? '__fish_use_subcommand'
        : path.map((word) => `__fish_seen_subcommand_from ${word}`).join('; and ')
    return words.map(({ word, summary }) => {
      const what = word.startsWith('--') ? `-l ${word.slice(2)}` : `-f -a ${word}`
      return `complete -c swarm -n '${condition}' ${what} -d '${summary.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
    })
  })
  return `${lines.join('\n')}\n`
}
