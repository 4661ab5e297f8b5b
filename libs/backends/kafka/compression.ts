import { gunzip, gzip, zstdCompress, zstdDecompress } from 'node:zlib';
import { promisify } from 'node:util';
import kafkajs from 'kafkajs';

/** Bytes that one batch may unpack to. */
const MAX_OUTPUT = 64 * 1024 * 1024;
const [packGzip, unpackGzip, packZstd, unpackZstd] = [promisify<Buffer, Buffer>(gzip), promisify<Buffer, object, Buffer>(gunzip), promisify<Buffer, Buffer>(zstdCompress), promisify<Buffer, object, Buffer>(zstdDecompress)];

/** kafkajs unpacks gzip without a bound and zstd not at all; it has one table of codecs for the process. */
export function boundCompression(): void {
  const { CompressionCodecs, CompressionTypes } = kafkajs;
  CompressionCodecs[CompressionTypes.GZIP] = () => ({ compress: (encoder: { readonly buffer: Buffer }) => packGzip(encoder.buffer), decompress: (buffer: Buffer) => unpackGzip(buffer, { maxOutputLength: MAX_OUTPUT }) });
  CompressionCodecs[CompressionTypes.ZSTD] = () => ({ compress: (encoder: { readonly buffer: Buffer }) => packZstd(encoder.buffer), decompress: (buffer: Buffer) => unpackZstd(buffer, { maxOutputLength: MAX_OUTPUT }) });
}
