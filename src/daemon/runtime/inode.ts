/** A socket or fifo, as fstat(2) names it. */
export interface Inode {
  readonly dev: bigint;
  readonly ino: bigint;
}
