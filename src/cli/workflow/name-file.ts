/** The API sees a text without a name; a person wants to go to the line in their file. */
export function nameFile(message: string, file: string): string {
  const name = file === '-' ? 'stdin' : file
  return message.replaceAll(/^( *)workflow\.yaml\b/gm, (_all, indent: string) => indent + name)
}
