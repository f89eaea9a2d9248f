/**
 * The primitive types of the keeper's protocol (docs/protocol.md): little endian, read bytewise, every length checked
 * before the bytes behind it are touched.
 */

/** A payload that does not fit its type: cut, too long, or with bytes left over. */
export class MalformedFrameError extends Error {
  readonly code = "malformed-frame";
}

export class ByteWriter {
  readonly #parts: Buffer[] = [];

  u8(value: number): this {
    return this.#push(Buffer.from([value]));
  }

  u16(value: number): this {
    const part = Buffer.allocUnsafe(2);
    part.writeUInt16LE(value);
    return this.#push(part);
  }

  u32(value: number): this {
    const part = Buffer.allocUnsafe(4);
    part.writeUInt32LE(value);
    return this.#push(part);
  }

  i32(value: number): this {
    const part = Buffer.allocUnsafe(4);
    part.writeInt32LE(value);
    return this.#push(part);
  }

  u64(value: bigint): this {
    const part = Buffer.allocUnsafe(8);
    part.writeBigUInt64LE(value);
    return this.#push(part);
  }

  /** 1 to 255 bytes, or 0 where the protocol says so. */
  key(text: string): this {
    const bytes = Buffer.from(`${text}\0`);
    return this.u16(bytes.length - 1).#push(bytes);
  }

  string(text: string): this {
    const bytes = Buffer.from(`${text}\0`);
    return this.u32(bytes.length - 1).#push(bytes);
  }

  tag(bytes: Uint8Array): this {
    return this.u32(bytes.length).#push(Buffer.from(bytes));
  }

  #push(part: Buffer): this {
    this.#parts.push(part);
    return this;
  }

  bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

export class ByteReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  u8(): number {
    return this.#bytes.readUInt8(this.#take(1));
  }

  u16(): number {
    return this.#bytes.readUInt16LE(this.#take(2));
  }

  u32(): number {
    return this.#bytes.readUInt32LE(this.#take(4));
  }

  i32(): number {
    return this.#bytes.readInt32LE(this.#take(4));
  }

  u64(): bigint {
    return this.#bytes.readBigUInt64LE(this.#take(8));
  }

  key(): string {
    return this.#text(this.u16());
  }

  string(): string {
    return this.#text(this.u32());
  }

  tag(): Buffer {
    const length = this.u32();
    const start = this.#take(length);
    return this.#bytes.subarray(start, start + length);
  }

  end(): void {
    const left = this.#bytes.length - this.#at;
    if (left !== 0) throw new MalformedFrameError(`${left} bytes are left over at the end of a frame`);
  }

  #text(length: number): string {
    const start = this.#take(length + 1);
    return this.#bytes.toString("utf8", start, start + length);
  }

  #take(length: number): number {
    const start = this.#at;
    if (length > this.#bytes.length - start) {
      throw new MalformedFrameError(
        `${length} bytes are wanted at offset ${start}, ${this.#bytes.length - start} are there`,
      );
    }
    this.#at = start + length;
    return start;
  }
}
