#!/usr/bin/perl
# SPDX-License-Identifier: MIT
# Mail::DKIM's side of dkim_oracle.py (package libmail-dkim-perl).
#   maildkim.pl verify ZONE LIST           file, tab, result, tab, d=, tab, s=, tab, a= a signature
#   maildkim.pl arc ZONE LIST              file, tab, result
#   maildkim.pl sign KEY LIST              lines "IN OUT DOMAIN SELECTOR ALGORITHM METHOD"
#   maildkim.pl seal KEY ZONE LIST         lines "IN OUT DOMAIN SELECTOR"
use strict;
use warnings;
use Mail::DKIM::Verifier;
use Mail::DKIM::Signer;
use Mail::DKIM::ARC::Verifier;
use Mail::DKIM::ARC::Signer;
use Mail::DKIM::PrivateKey;
use Mail::DKIM::DNS;
use Net::DNS;

my %zone;

sub read_zone {
    open my $f, '<', $_[0] or die "$_[0]: $!";
    while (<$f>) {
        chomp;
        my ($name, $text) = split / /, $_, 2;
        push @{ $zone{lc $name} }, $text;
    }
}

{
    no warnings 'redefine';
    *Mail::DKIM::DNS::query = sub {
        my ($name, $type) = @_;
        return map { Net::DNS::RR->new(owner => $name, type => 'TXT', txtdata => [ unpack '(a250)*', $_ ]) }
            @{ $zone{lc $name} || [] };
    };
}

sub slurp {
    open my $f, '<:raw', $_[0] or die "$_[0]: $!";
    local $/;
    return scalar <$f>;
}

my ($what, @args) = @ARGV;
my $list = pop @args;
my $key;
if ($what eq 'sign' || $what eq 'seal') {
    $key = Mail::DKIM::PrivateKey->load(File => shift @args);
}
read_zone(shift @args) if @args;
open my $f, '<', $list or die "$list: $!";
while (my $line = <$f>) {
    chomp $line;
    my @w = split / /, $line;
    if ($what eq 'verify') {
        my $v = Mail::DKIM::Verifier->new;
        eval { $v->PRINT(slurp($line)); $v->CLOSE; 1 } or do { print "$line\tdied\t\t\t\n"; next };
        for my $s ($v->signatures) {
            no warnings;
            print join("\t", $line, $s->result, eval { $s->domain }, eval { $s->selector },
                eval { $s->algorithm }), "\n";
        }
    } elsif ($what eq 'arc') {
        my $v = Mail::DKIM::ARC::Verifier->new;
        eval { $v->PRINT(slurp($line)); $v->CLOSE; 1 } or do { print "$line\tdied\n"; next };
        print join("\t", $line, $v->result), "\n";
    } else {
        my ($in, $out, $domain, $selector, $algorithm, $method) = @w;
        my $s = $what eq 'sign'
            ? Mail::DKIM::Signer->new(Algorithm => $algorithm, Method => $method, Domain => $domain,
                Selector => $selector, Key => $key)
            : Mail::DKIM::ARC::Signer->new(Algorithm => 'rsa-sha256', Chain => 'ar', Domain => $domain,
                SrvId => 'relay.example', Selector => $selector, Key => $key);
        my $mail = slurp($in);
        $s->PRINT($mail);
        $s->CLOSE;
        my @head = $what eq 'sign' ? ($s->signature->as_string) : $s->as_strings;
        next if $what eq 'seal' && !@head;
        open my $o, '>:raw', $out or die "$out: $!";
        for (@head) { s/\r?\n/\r\n/g; print $o "$_\r\n" }
        print $o $mail;
        close $o;
    }
}
