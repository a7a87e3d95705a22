import { OUTPUT_BYTES_MAX, type OutputFile } from './contract.ts'

/** `sandbox.getFile` or alike: rejects with an error whose `code` says `not_found`, `not_a_file`, `too_large`. */
export type GetFile = (path: string, options: { readonly bytesMax: number }) => Promise<Uint8Array>

/** The result file as it was found. Trouble that says nothing about the file is thrown on. */
export async function readOutput(getFile: GetFile, path: string): Promise<OutputFile> {
  try {
    return { kind: 'read', content: await getFile(path, { bytesMax: OUTPUT_BYTES_MAX }) }
  } catch (error) {
    switch ((error as { readonly code?: unknown }).code) {
      case 'not_found':
        return { kind: 'missing' }
      case 'not_a_file':
      case 'path_refused':
        return { kind: 'not_a_file' }
      case 'too_large':
        return { kind: 'too_large' }
      default:
        throw error
    }
  }
}
