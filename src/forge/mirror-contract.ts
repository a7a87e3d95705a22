import type { ProjectId } from '../domain/id.ts'

/** Full object name of a commit, 40 or 64 hexadecimal digits. */
export type CommitHash = string

/**
 * A project's bare repository on the host. It holds every ticket's work, so no sandbox ever sees it: a sandbox
 * gets a bundle and gives one back. No method uses a work tree, runs a hook, a filter or anything else that a
 * repository brings along. Every method may be called concurrently; writers queue per mirror.
 *
 * Methods throw ForgeError for trouble (disk, git, time) and the signal's reason when it aborts.
 */
export interface Mirror {
  readonly projectId: ProjectId
  readonly defaultBranch: string

  /** The default branch as last fetched. */
  defaultCommit(signal: AbortSignal): Promise<CommitHash>

  /** Fetches one more branch of the remote; `undefined` when the remote does not have it. */
  fetchBranch(branch: string, signal: AbortSignal): Promise<CommitHash | undefined>

  /** The commit a full ref (`refs/…`) or commit hash names; `undefined` when there is none. */
  resolve(refOrCommit: string, signal: AbortSignal): Promise<CommitHash | undefined>

  /**
   * Writes a bundle with the history of one commit and nothing else: no other ticket's ref, no tag. The bundle has
   * one head, `refs/swarm/base`. The caller owns the file; an existing one is replaced.
   */
  exportBundle(
    input: { readonly commit: CommitHash; readonly path: string },
    signal: AbortSignal,
  ): Promise<{ readonly bytes: number }>

  /**
   * Takes home what a sandbox made. The bundle is hostile until proved otherwise: size, one head, fsck, paths, and
   * that it is made of its own objects and of the base's history only. On `imported` the ref points at the commit
   * and the objects are on disk. Repeating it is harmless. The file stays the caller's.
   */
  importBundle(input: ImportBundle, signal: AbortSignal): Promise<ImportOutcome>

  /** Changes between two commits' trees, bounded. */
  diff(
    input: {
      readonly from: CommitHash
      readonly to: CommitHash
      /** Longest diff text, bytes; default 1 MiB */ readonly textBytesMax?: number
    },
    signal: AbortSignal,
  ): Promise<Diff>

  /** A file's bytes at a commit; `undefined` when there is no such regular file. Too large a file is an error. */
  readFileAt(
    input: {
      readonly commit: CommitHash
      /** Relative, `/` between names */
      readonly path: string
      /** Default 1 MiB */
      readonly bytesMax?: number
    },
    signal: AbortSignal,
  ): Promise<Uint8Array | undefined>

  /** Names of the files directly in a directory at a commit, such as `.swarm/workflows`; empty when absent. */
  listFilesAt(
    input: { readonly commit: CommitHash; readonly directory: string },
    signal: AbortSignal,
  ): Promise<readonly string[]>

  mergeBase(a: CommitHash, b: CommitHash, signal: AbortSignal): Promise<CommitHash | undefined>
  isAncestor(ancestor: CommitHash, descendant: CommitHash, signal: AbortSignal): Promise<boolean>

  /** Commits reachable from `to` and not from `from`, newest first, at most `countMax` (default 100). */
  log(
    input: { readonly from?: CommitHash; readonly to: CommitHash; readonly countMax?: number },
    signal: AbortSignal,
  ): Promise<readonly LogEntry[]>

  /**
   * Merges work of two sides and keeps the result at a ref of the run; no work tree. The same commits always give
   * the same merge commit, so repeating it is harmless. Where one contains the other, that one is the result.
   */
  mergeCommits(
    input: { readonly ours: CommitHash; readonly theirs: CommitHash; readonly ref: string },
    signal: AbortSignal,
  ): Promise<
    | { readonly kind: 'merged'; readonly commit: CommitHash }
    | { readonly kind: 'conflict'; readonly files: readonly string[]; readonly detail: string }
  >

  /** Refs under a prefix such as `refs/swarm/<run>/`. */
  listRefs(
    prefix: string,
    signal: AbortSignal,
  ): Promise<readonly { readonly ref: string; readonly commit: CommitHash }[]>

  /** Keeps a commit for good under `refs/parked/<name>`; repeating it changes nothing. */
  park(input: { readonly commit: CommitHash; readonly name: string }, signal: AbortSignal): Promise<string>

  /**
   * Retention. A ref whose commit the remote has (contained in a fetched or pushed branch) is deleted; any other is
   * parked first, under `refs/parked/…`, so nothing unpushed is ever lost. Only `refs/swarm/…` may be given.
   */
  pruneRefs(refs: readonly string[], signal: AbortSignal): Promise<PruneReport>

  /** Packs objects; slow on a large mirror. Nothing that a ref or its history names is dropped. */
  compact(signal: AbortSignal): Promise<void>
}

export type ImportBundle = {
  /** The bundle, a file of the host that no sandbox can write any more */
  readonly path: string
  /** Where to keep it: toWorkRef's result */
  readonly ref: string
  /** What the sandbox was given; the work must descend from it */
  readonly expectedBase: CommitHash
  /** What the guest said it made; a different head is refused */
  readonly expectedCommit?: CommitHash
  /** Default 256 MiB */
  readonly bytesMax?: number
}

export type ImportOutcome =
  | {
      readonly kind: 'imported'
      readonly commit: CommitHash
      /** What a reviewer should look at; not an obstacle */
      readonly findings: readonly Finding[]
      readonly findingsTruncated: boolean
    }
  /** The commit's tree equals the base's; nothing is kept */
  | { readonly kind: 'no-change' }
  | { readonly kind: 'refused'; readonly code: ImportRefusal; readonly detail: string }

export type ImportRefusal =
  | 'too_large'
  | 'not_a_bundle'
  | 'unexpected_heads'
  | 'unexpected_commit'
  | 'unrelated_base'
  | 'corrupt'
  | 'forbidden_path'
  | 'foreign_objects'

export type Finding = {
  readonly kind:
    | 'symlink_outside'
    | 'submodule_changed'
    | 'lfs_pointer'
    | 'odd_name'
    | 'attributes_changed'
    | 'swarm_files_changed'
  /** Printable: control characters and bytes that are not UTF-8 are escaped */
  readonly path: string
  /** The link's target, the submodule's commit … */
  readonly detail?: string
}

export type ChangedFile = {
  /** Printable form */
  readonly path: string
  readonly status: 'added' | 'modified' | 'deleted' | 'renamed' | 'type_changed'
  /** Printable form of the old name; present when renamed */
  readonly previousPath?: string
  /** Absent for binary files */
  readonly insertions?: number
  readonly deletions?: number
}

export type Diff = {
  /** Unified diff; control characters other than tab and newline are escaped */
  readonly text: string
  readonly textTruncated: boolean
  /** At most 3,000 */
  readonly files: readonly ChangedFile[]
  readonly fileCount: number
  readonly insertions: number
  readonly deletions: number
}

export type LogEntry = {
  readonly commit: CommitHash
  readonly parents: readonly CommitHash[]
  readonly subject: string
  readonly authorName: string
  /** `ms` since the epoch */
  readonly committedAt: number
}

export type PruneReport = {
  readonly deleted: readonly string[]
  readonly parked: readonly { readonly ref: string; readonly parkedRef: string }[]
}
